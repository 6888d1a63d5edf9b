package bundle

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"unicode/utf8"
)

// marshal returns v as it stands in a bundle: one JSON object on one line.
func marshal(v any) ([]byte, error) {
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	err := enc.Encode(v)
	return b.Bytes(), err
}

// marshalLong is marshal for a manifest of many files, which may take many MB: it holds little
// more than what it returns, and encoding/json three times of that.
func (m Manifest) marshalLong() ([]byte, error) {
	const each = 192 // bytes of an entry beside the path, about
	frame, size := m, 0
	frame.Versions = slices.Clone(m.Versions)
	for i, v := range m.Versions {
		frame.Versions[i].Files = []File{}
		for _, f := range v.Files {
			size += len(f.Path) + each
		}
	}
	rest, err := marshal(frame)
	if err != nil {
		return nil, err
	}
	var b bytes.Buffer
	b.Grow(len(rest) + size)
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	for _, v := range m.Versions {
		// Nothing else looks like that: in texts quotes are escaped, and keys of metadata have texts.
		begin := bytes.Index(rest, []byte(`"files":[]`)) + len(`"files":[`)
		b.Write(rest[:begin])
		for i := range v.Files {
			if i > 0 {
				b.WriteByte(',')
			}
			if err := enc.Encode(&v.Files[i]); err != nil {
				return nil, err
			}
			b.Truncate(b.Len() - len("\n"))
		}
		rest = rest[begin:]
	}
	b.Write(rest)
	return b.Bytes(), nil
}

// marshal returns m as it stands in a bundle.
func (m Manifest) marshal() ([]byte, error) {
	const many = 10_000
	files := 0
	for _, v := range m.Versions {
		files += len(v.Files)
	}
	if files < many {
		return marshal(m)
	}
	return m.marshalLong()
}

// parseManifest reads a manifest and checks it as far as that goes without the
// members. The error wraps ErrUnsupported for a newer format or an unknown kind,
// else ErrCorrupt.
func parseManifest(raw []byte) (Manifest, error) {
	var m Manifest
	if err := parseLast(raw, &m); err != nil {
		return Manifest{}, err
	}
	if err := m.check(); err != nil {
		return Manifest{}, err
	}
	if err := m.checkChain(); err != nil {
		return Manifest{}, err
	}
	for _, v := range m.Versions {
		if err := errors.Join(checkDigests(v.Files...), v.Commit.checkDigest()); err != nil {
			return Manifest{}, err
		}
	}
	m.normalize()
	return m, nil
}

// parseLast reads the JSON of a last member into v.
func parseLast(raw []byte, v any) error {
	if err := checkJSON(raw); err != nil {
		return err
	}
	// The number comes first: nothing else is known about another format.
	if err := checkFormat(raw); err != nil {
		return err
	}
	return unmarshal(raw, v, checkObject)
}

// checkJSON tests that raw is one JSON object in UTF-8.
func checkJSON(raw []byte) error {
	switch {
	case !utf8.Valid(raw):
		return corruptf("not UTF-8")
	case !json.Valid(raw):
		return corruptf("not one JSON value")
	case bytes.TrimLeft(raw, " \t\r\n")[0] != '{':
		return corruptf("not an object")
	}
	return nil
}

// unmarshal reads raw, which checkJSON has passed, into v. What encoding/json
// would understand in its own way, or spend much memory on, check refuses before.
func unmarshal(raw []byte, v any, check func([]byte) error) error {
	if err := check(raw); err != nil {
		return err
	}
	if err := checkEscapes(raw); err != nil {
		return err
	}
	if err := json.Unmarshal(raw, v); err != nil {
		return asCorrupt(err)
	}
	return nil
}

// checkFormat looks for the format number of raw, which is a JSON object.
func checkFormat(raw []byte) error {
	var value []byte
	w := walker{raw: raw}
	w.space()
	err := w.members(func(name []byte) error {
		begin := w.at
		w.skip()
		if string(name) == "format" {
			value = raw[begin:w.at]
		}
		return nil
	})
	if err != nil {
		return err
	}
	if value == nil || string(value) == "null" {
		return corruptf("no format number")
	}
	return checkKnown(string(value))
}

func asCorrupt(err error) error {
	if errors.Is(err, ErrCorrupt) {
		return err
	}
	return fmt.Errorf("%w: %w", err, ErrCorrupt)
}
