package sim

import (
	"fmt"
	"maps"
	"math"
	"slices"
)

// sorted are the keys of a map in an order that the seed alone decides.
func sorted[V any](m map[string]V) []string { return slices.Sorted(maps.Keys(m)) }

// commit makes one version as an engine would and says what it was.
func (s *source) commit(extra bool) (string, error) {
	if s.pending != nil {
		return "the newest commit is completed", s.complete()
	}
	st, c := s.newest(), &commit{}
	s.commitInfo(st, c)
	what := "create table"
	if len(s.versions) == 0 {
		s.create(st, c)
	} else {
		what = s.operation(st, c)
	}
	if extra && s.rng.IntN(4) == 0 {
		s.files++
		path := fmt.Sprintf("%sblob-%d", extraDir, s.files)
		if err := s.write(path, s.size()); err != nil {
			return "", err
		}
		st.extra = append(st.extra, path)
		if len(st.extra) > 4 {
			st.extra = st.extra[1:]
		}
	}
	if c.lines.Len() == 0 { // a commit that is empty is not there yet
		c.action("commitInfo", map[string]any{"operation": what})
	}
	half := len(s.versions) > 0 && s.rng.IntN(25) == 0
	if half {
		what += ", half-written"
	}
	if c.err != nil {
		return "", c.err
	}
	return what, s.publish(st, c, half)
}

// commitInfo comes first where there is an in-commit timestamp (Delta protocol,
// "In-Commit Timestamps").
func (s *source) commitInfo(st *state, c *commit) {
	info := map[string]any{"operation": "SIM", "operationParameters": map[string]any{"n": s.rng.Int64()}}
	if st.config["delta.enableInCommitTimestamps"] == "true" {
		c.inCommit = s.clock.UnixMilli() + 10_000 // as long as no commit is in flight for longer
		if n := len(s.versions) - 1; n >= 0 {
			c.inCommit = max(c.inCommit, s.versions[n].time()+1)
		}
		info["inCommitTimestamp"] = c.inCommit
	}
	if c.inCommit != 0 || s.rng.IntN(2) == 0 {
		c.action("commitInfo", info)
	}
}

func (s *source) create(st *state, c *commit) {
	st.protocol = protocol{MinReader: 1, MinWriter: 2}
	if s.rng.IntN(2) == 0 {
		s.features = true
		st.protocol = protocol{MinReader: 3, MinWriter: 7, Reader: []string{"deletionVectors"}, Writer: []string{"deletionVectors", "domainMetadata", "inCommitTimestamp"}}
	}
	if s.rng.IntN(2) == 0 {
		st.config["delta.checkpointInterval"] = fmt.Sprint(10 + s.rng.IntN(40))
	}
	c.action("protocol", st.protocol)
	s.metadata(st, c)
	s.append(st, c, 1+s.rng.IntN(3))
}

func (s *source) metadata(st *state, c *commit) {
	c.action("metaData", map[string]any{
		"id": st.id, "format": map[string]any{"provider": "parquet", "options": map[string]string{}},
		"schemaString":     `{"type":"struct","fields":[{"name":"x","type":"string","nullable":true,"metadata":{}}]}`,
		"partitionColumns": []string{"x"}, "configuration": st.config, "createdTime": 1,
	})
}

// operation does one of the things that engines do to a table.
func (s *source) operation(st *state, c *commit) string {
	switch n := s.rng.IntN(100); {
	case n < 35:
		k := 1 + s.rng.IntN(3)
		s.append(st, c, k)
		s.drop(st, c, max(0, len(st.live)-12)) // so that what is live stays small
		return fmt.Sprintf("append %d", k)
	case n < 50:
		return fmt.Sprintf("delete %d", s.drop(st, c, 1+s.rng.IntN(3)))
	case n < 58:
		k := s.drop(st, c, len(st.live))
		s.append(st, c, 1)
		return fmt.Sprintf("optimize %d into 1", k)
	case n < 72 && s.features:
		return fmt.Sprintf("mark %d", s.mark(st, c))
	case n < 78:
		return fmt.Sprintf("restore %d", s.restore(st, c))
	case n < 82:
		for _, path := range sorted(st.live)[:min(1, len(st.live))] {
			s.add(st, c, st.live[path])
		}
		return "repeat an entry"
	case n < 88:
		return s.changeData(st, c)
	case n < 92:
		app := fmt.Sprintf("app-%d", s.rng.IntN(3))
		st.txns[app] = math.MaxInt64 - s.rng.Int64N(1<<40)
		c.action("txn", map[string]any{"appId": app, "version": st.txns[app]})
		return "txn"
	case n < 95 && s.features:
		return s.domain(st, c)
	case n < 98:
		return s.alter(st, c)
	}
	return "no files"
}

// size in bytes of a file: mostly small, now and then enough to make a base due.
func (s *source) size() int {
	if s.rng.IntN(8) == 0 {
		return 60_000 + s.rng.IntN(200_000)
	}
	return s.rng.IntN(2000)
}

// append adds n new files.
func (s *source) append(st *state, c *commit, n int) {
	for range n {
		s.files++
		value := fmt.Sprintf("%d %%/é", s.rng.IntN(3)) // needs escapes on disk and in the log
		path := fmt.Sprintf("x=%d %%25%%2Fé/part-%05d.parquet", s.rng.IntN(3), s.files)
		size := s.size()
		if err := s.write(path, size); err != nil {
			c.err = err
			return
		}
		f := file{Path: path, Partition: map[string]string{"x": value}, Size: int64(size), Modified: s.clock.UnixMilli(), Change: true}
		if s.rng.IntN(2) == 0 {
			f.Stats = fmt.Sprintf(`{"numRecords":%d}`, s.rng.IntN(1000))
		}
		s.add(st, c, f)
	}
}

func (s *source) add(st *state, c *commit, f file) {
	st.live[f.Path] = f
	stated := f
	stated.Path = inLog(f.Path)
	c.action("add", stated)
}

func (s *source) remove(st *state, c *commit, f file) {
	delete(st.live, f.Path)
	tombstone := map[string]any{"path": inLog(f.Path), "deletionTimestamp": s.clock.UnixMilli(), "dataChange": true}
	if f.Vector != nil {
		tombstone["deletionVector"] = f.Vector
	}
	c.action("remove", tombstone)
}

// drop removes up to n live files that this commit did not add.
func (s *source) drop(st *state, c *commit, n int) int {
	dropped := 0
	for _, path := range sorted(s.newestLive()) {
		if f, live := st.live[path]; live && dropped < n && s.rng.IntN(3) > 0 {
			s.remove(st, c, f)
			dropped++
		}
	}
	return dropped
}

func (s *source) newestLive() map[string]file { return s.versions[len(s.versions)-1].live }

// mark gives some live files new deletion vectors, of which several lie in one
// file, and takes others away.
func (s *source) mark(st *state, c *commit) int {
	var id [16]byte
	for i := range id {
		id[i] = byte(s.rng.Uint32())
	}
	folder := []string{"", "ab"}[s.rng.IntN(2)]
	inLog, path := vectorName(folder, id)
	written, marked := false, 0
	for _, name := range sorted(s.newestLive()) {
		if s.rng.IntN(2) == 0 {
			continue
		}
		f := st.live[name]
		s.remove(st, c, f)
		switch n := s.rng.IntN(6); {
		case n == 0 && f.Vector != nil:
			f.Vector = nil
		case n == 1:
			f.Vector = &vector{Storage: "i", ID: "wi5b=000010000siXQKl0rr91000f55c8Xg0@@D72lkbi5=-{L", Size: 44, Cardinality: int64(s.rng.IntN(99))}
		default:
			offset := int32(1 + 40*marked)
			f.Vector = &vector{Storage: "u", ID: inLog, Offset: &offset, Size: 36, Cardinality: math.MaxInt64 - s.rng.Int64N(100), file: path}
			written = true
		}
		s.add(st, c, f)
		marked++
	}
	if written {
		if err := s.write(path, 1+40*marked); err != nil {
			c.err = err
		}
	}
	return marked
}

// restore goes back to an older version, as far as its files are there still.
func (s *source) restore(st *state, c *commit) int {
	old := s.versions[s.rng.IntN(len(s.versions))]
	there := func(f file) bool {
		return !s.gone[f.Path] && (f.Vector == nil || f.Vector.file == "" || !s.gone[f.Vector.file])
	}
	restored := 0
	for _, path := range sorted(s.newestLive()) {
		was, kept := old.live[path]
		if s.rng.IntN(4) == 0 || kept && (was.Vector == st.live[path].Vector || !there(was)) {
			continue
		}
		s.remove(st, c, st.live[path])
		if kept { // with another deletion vector
			s.add(st, c, was)
		}
	}
	for _, path := range sorted(old.live) {
		if _, live := st.live[path]; !live && there(old.live[path]) && restored < 8 {
			s.add(st, c, old.live[path])
			restored++
		}
	}
	return restored
}

func (s *source) changeData(st *state, c *commit) string {
	s.append(st, c, 1)
	s.drop(st, c, 1)
	for range 1 + s.rng.IntN(2) {
		s.files++
		path := fmt.Sprintf("_change_data/cdc-%05d.parquet", s.files)
		size := s.size()
		if err := s.write(path, size); err != nil {
			c.err = err
		}
		c.changeData = append(c.changeData, path)
		c.action("cdc", map[string]any{"path": path, "partitionValues": map[string]string{}, "size": size, "dataChange": false})
	}
	return "change data"
}

func (s *source) domain(st *state, c *commit) string {
	name := fmt.Sprintf("domain.%d", s.rng.IntN(3))
	if _, there := st.domains[name]; there && s.rng.IntN(2) == 0 {
		delete(st.domains, name)
		c.action("domainMetadata", map[string]any{"domain": name, "configuration": "", "removed": true})
		return "remove domain"
	}
	st.domains[name] = fmt.Sprintf(`{"n":%d}`, s.rng.Uint32())
	c.action("domainMetadata", map[string]any{"domain": name, "configuration": st.domains[name], "removed": false})
	return "domain"
}

// alter changes metadata and protocol.
func (s *source) alter(st *state, c *commit) string {
	st.config["note"] = fmt.Sprint(s.rng.Uint32())
	if s.features && c.inCommit == 0 {
		st.config["delta.enableInCommitTimestamps"] = "true"
	}
	s.metadata(st, c)
	switch {
	case s.features:
		known := []string{"appendOnly", "invariants", "changeDataFeed", "rowTracking"}
		st.protocol.Writer = append(slices.Clone(st.protocol.Writer), known[s.rng.IntN(len(known))])
		slices.Sort(st.protocol.Writer)
		st.protocol.Writer = slices.Compact(st.protocol.Writer)
	case s.rng.IntN(2) == 0:
		st.protocol.MinWriter = 3 + s.rng.IntN(2)
	}
	c.action("protocol", st.protocol)
	return "alter"
}
