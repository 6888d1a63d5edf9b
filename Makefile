# What CI runs is `make check`; see CONTRIBUTING.md.
FUZZTIME ?= 2000x
STATICCHECK := honnef.co/go/tools/cmd/staticcheck@v0.8.2

.PHONY: check format vet staticcheck tidy race fuzz test bench

check: format vet staticcheck tidy race fuzz

format:
	@files=$$(gofmt -l .); test -z "$$files" || { echo "not gofmt'ed: $$files"; exit 1; }

vet:
	for os in linux windows darwin freebsd; do GOOS=$$os go vet ./... || exit 1; done

staticcheck:
	go run $(STATICCHECK) ./...

tidy:
	go mod tidy -diff

race:
	go test -race -shuffle=on ./...

# Every fuzz target in turn, FUZZTIME each: a count, since a duration may end a
# run as failed when time is up.
fuzz:
	@set -e; for p in $$(go list ./...); do \
	  for f in $$(go test -list '^Fuzz' $$p | grep '^Fuzz' || true); do \
	    echo "$$p $$f"; go test -run '^$$' -fuzz "^$$f$$" -fuzztime $(FUZZTIME) -fuzzminimizetime 10x $$p; \
	  done; done

test:
	go test ./...

# The benchmarks of the code, then the comparison with other tools (docs/BENCHMARKS.md).
bench:
	go test -run '^$$' -bench . -benchmem ./...
	.ci/bench
