// Package remote moves the versions of a Delta table to an object store and back. It is
// what a host program imports, beside a driver of storage and deltalog for its table:
//
//   - a Replicator, made by New, has one table and one store: Push, Init, Pull, Follow with
//     Notify, WaitFor, SafeVersion before a VACUUM, Status and Lag;
//   - a Multi pushes one table to several stores, of which all count for its SafeVersion;
//   - Verify and Drill tell whether what is stored can be had back;
//   - Base takes a point at which an Init with HistoryLive begins;
//   - Consolidate, Prune, Pin, Unpin and Repair keep a store in order;
//   - LoadConfig reads the configuration of a host.
//
// Calls return an *Error, which names the operation, version and object, and what to do
// next; errors.Is finds the classes of this package in it, such as ErrDiverged. A store is
// wrapped in storage.Retry by New.
package remote
