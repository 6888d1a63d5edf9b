package remote

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"go.yaml.in/yaml/v4"
)

// Kinds of values in a configuration, as its errors name them.
const (
	aText     = "a text"
	aNumber   = "a whole number"
	seconds   = "a whole number of seconds"
	aTruth    = "true or false"
	aList     = "a list of stores"
	something = "" // of a key that is refused anyway
)

// placeKeys are the keys of fields that say where a store is; configKeys are all.
var (
	placeKeys = map[string]string{
		"storage_type": aText, "bucket": aText, "prefix": aText, "path": aText, "url": aText,
		"region": aText, "key": aText, "secret": aText, "endpoint": aText,
	}
	configKeys = with(placeKeys, map[string]string{
		"replicas": aList, "mode": aText, "source_pond_id": aText, "config_path": aText, "sync_interval": seconds,
		"auto_switch_to_pull": aTruth, "compression_level": aNumber, "include_paths": something, "exclude_paths": something,
	})
)

func with(a, b map[string]string) map[string]string {
	all := maps.Clone(a)
	maps.Copy(all, b)
	return all
}

// checkKeys makes sure that a node is a list of known keys with values of the right
// kinds. Its errors are for who wrote the file: the parser's own name types of Go.
// Values that come from an anchor it leaves to the parser.
func checkKeys(node *yaml.Node, known map[string]string) error {
	if node.Kind == yaml.AliasNode {
		return nil
	}
	if node.Kind != yaml.MappingNode {
		return lineError(node, "want keys with values, as in storage_type: s3")
	}
	var all error
	seen := map[string]int{}
	for i := 0; i+1 < len(node.Content); i += 2 {
		key, value := node.Content[i], node.Content[i+1]
		kind, is := known[key.Value]
		switch before := seen[key.Value]; {
		case key.Tag == "!!merge":
		case key.Value == "remote":
			all = errors.Join(all, lineError(key, "remote can only stand around all other keys"))
		case key.Kind != yaml.ScalarNode || !is:
			all = errors.Join(all, lineError(key, "unknown key %q%s", key.Value, suggestion(key.Value, known)))
		case before > 0:
			all = errors.Join(all, lineError(key, "%s is already in line %d", key.Value, before))
		default:
			all = errors.Join(all, checkValue(key.Value, value, kind))
		}
		seen[key.Value] = key.Line
	}
	return all
}

func checkValue(key string, value *yaml.Node, kind string) error {
	ok := true
	switch {
	case value.Kind == yaml.AliasNode || value.Tag == "!!null":
	case kind == aText:
		ok = value.Decode(new(string)) == nil
	case kind == aNumber, kind == seconds:
		ok = value.Decode(new(int)) == nil
	case kind == aTruth:
		ok = value.Decode(new(bool)) == nil
	case kind == aList && value.Kind == yaml.SequenceNode:
		var all error
		for _, r := range value.Content {
			all = errors.Join(all, checkKeys(r, placeKeys))
		}
		return all
	case kind == aList:
		ok = false
	}
	if !ok {
		return lineError(value, "%s wants %s", key, kind)
	}
	return nil
}

func lineError(n *yaml.Node, format string, args ...any) error {
	return fmt.Errorf("line %d: %s", n.Line, fmt.Sprintf(format, args...))
}

// suggestion is the known key that was probably meant, if there is one.
func suggestion(typed string, known map[string]string) string {
	for _, key := range slices.Sorted(maps.Keys(known)) {
		if len(typed) < 100 && distance(typed, key) <= 2 {
			return ", is it " + key + "?"
		}
	}
	return ""
}

// distance is how many letters must be typed, left out or replaced to come from a to b.
func distance(a, b string) int {
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		above := row[0]
		row[0] = i + 1
		for j := range len(b) {
			replaced := above
			if a[i] != b[j] {
				replaced++
			}
			above = row[j+1]
			row[j+1] = min(replaced, above+1, row[j]+1)
		}
	}
	return row[len(b)]
}

// oneLine joins what is wrong with "; ", without the parser's name in front.
func oneLine(err error) error {
	return errors.New(strings.ReplaceAll(strings.TrimPrefix(err.Error(), "yaml: "), "\n", "; "))
}

// keyError is what is wrong with the value of a key.
type keyError struct {
	key  string
	text string
}

func (e *keyError) Error() string { return e.text }
func (e *keyError) Unwrap() error { return ErrInvalidConfig }

// inLine adds to such an error the line of its key in a node.
func inLine(node *yaml.Node, err error) error {
	var bad *keyError
	if !errors.As(err, &bad) {
		return err
	}
	for i := 0; i < len(node.Content); i += 2 {
		if node.Content[i].Value == bad.key {
			return fmt.Errorf("%w: line %d: %s", ErrInvalidConfig, node.Content[i].Line, bad.text)
		}
	}
	return fmt.Errorf("%w: %s", ErrInvalidConfig, bad.text)
}
