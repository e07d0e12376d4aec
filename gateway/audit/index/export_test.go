package index

// Drop is for tests, which remove an index as another process does that finds it
// malformed.
var Drop = drop
