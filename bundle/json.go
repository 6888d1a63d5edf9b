package bundle

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
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
	return m.clone(), nil
}

// parseLast reads the JSON of a last member into v.
func parseLast(raw []byte, v any) error {
	if !utf8.Valid(raw) {
		return corruptf("not UTF-8")
	}
	// Whether it is JSON at all Unmarshal says before it takes anything, which saves
	// going through a large manifest twice.
	err := json.Unmarshal(raw, v)
	if syntax := (*json.SyntaxError)(nil); errors.As(err, &syntax) {
		return corruptf("not one JSON value")
	}
	// The number comes first: nothing else is known about another format.
	if err := checkFormat(raw); err != nil {
		return err
	}
	if err := checkNames(raw); err != nil {
		return err
	}
	if err := checkEscapes(raw); err != nil {
		return err
	}
	if err != nil {
		return asCorrupt(err)
	}
	return nil
}

// checkFormat looks for the format number of raw, which is valid JSON.
func checkFormat(raw []byte) error {
	var value []byte
	w := walker{raw: raw}
	if w.space(); raw[w.at] != '{' {
		return corruptf("not an object")
	}
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
