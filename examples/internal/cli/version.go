package cli

import "runtime/debug"

// ModuleVersion is the version that this program was built from, as far as it knows.
func ModuleVersion() string {
	if info, ok := debug.ReadBuildInfo(); ok && info.Main.Version != "" {
		return info.Main.Version
	}
	return "unknown"
}
