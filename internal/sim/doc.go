// Package sim runs random schedules of everything that can happen to a table
// and its replicas, and compares what comes out with a model that is too simple
// to be wrong: maps of what every version of the source was.
//
// A World has one source table in a temporary folder, one store, several
// pushers and several replicas. Each step does one thing at random: commits as
// engines make them, checkpoints, log cleanup, vacuum, pushes, pulls, inits,
// bases, and interruptions of these at a random operation of the store. Replicas
// are checked against the model after every step that touched them. The same seed makes the
// same decisions; goroutines of the library may still interleave differently.
//
// It is for the tests of this module; nothing in the library imports it.
package sim
