package storage

// Compose returns s with exactly the optional abilities that are given; nil
// means without. Wrappers of a Store use it, so that a type assertion on the
// wrapped store answers as it does on the store inside.
func Compose(s Store, d Deleter, o Overwriter) Store {
	switch {
	case d != nil && o != nil:
		return struct {
			Store
			Deleter
			Overwriter
		}{s, d, o}
	case d != nil:
		return struct {
			Store
			Deleter
		}{s, d}
	case o != nil:
		return struct {
			Store
			Overwriter
		}{s, o}
	}
	return struct{ Store }{s}
}
