package signin

// Destination is what the fuzz target looks at.
var Destination = destination
