package deltalog

// What follows are decisions that do not depend on where a table lies. Dir makes
// them so; a table elsewhere does the same.

// CheckPath returns nil for the decoded path of a data file or of a checkpoint's
// file, and else the error of DecodePath.
func CheckPath(p string) error {
	if _, ok := checkpointOf(p); ok {
		return nil
	}
	return checkPath(p)
}
