package bundle

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
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
	if !json.Valid(raw) {
		return corruptf("not one JSON value")
	}
	// The number comes first: nothing else is known about another format.
	if err := checkFormat(raw); err != nil {
		return err
	}
	if err := checkNames(json.NewDecoder(bytes.NewReader(raw)), false); err != nil {
		return err
	}
	if err := json.Unmarshal(raw, v); err != nil {
		return asCorrupt(err)
	}
	return nil
}

func checkFormat(raw []byte) error {
	var head struct {
		Format *int64 `json:"format"`
	}
	if err := json.Unmarshal(raw, &head); err != nil {
		return asCorrupt(err)
	}
	switch {
	case head.Format == nil:
		return corruptf("no format number")
	case *head.Format < 1:
		return corruptf("format %d", *head.Format)
	case *head.Format > Format:
		return fmt.Errorf("format %d, this program reads up to %d: %w", *head.Format, Format, ErrUnsupported)
	}
	return nil
}

// checkNames reads one JSON value and refuses objects that two readers could
// understand differently: with one name twice, or, since encoding/json ignores
// case, with a name that is not all lower case. Keys of metadata are free.
func checkNames(dec *json.Decoder, free bool) error {
	token, err := dec.Token()
	if err != nil {
		return asCorrupt(err)
	}
	switch token {
	case json.Delim('['):
		for dec.More() {
			if err := checkNames(dec, free); err != nil {
				return err
			}
		}
	case json.Delim('{'):
		if err := checkObject(dec, free); err != nil {
			return err
		}
	default:
		return nil
	}
	_, err = dec.Token() // the closing bracket
	return err
}

func checkObject(dec *json.Decoder, free bool) error {
	seen := make(map[string]bool)
	for dec.More() {
		token, err := dec.Token()
		if err != nil {
			return asCorrupt(err)
		}
		name, _ := token.(string)
		if seen[name] {
			return corruptf("name %.80q stands twice in an object", name)
		}
		if !free && strings.Trim(name, "abcdefghijklmnopqrstuvwxyz0123456789_") != "" {
			return corruptf("name %.80q is not lower case", name)
		}
		seen[name] = true
		if err := checkNames(dec, free || name == "metadata"); err != nil {
			return err
		}
	}
	return nil
}

func asCorrupt(err error) error {
	if errors.Is(err, ErrCorrupt) {
		return err
	}
	return fmt.Errorf("%w: %w", err, ErrCorrupt)
}
