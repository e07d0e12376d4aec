// Package storetest is the suite that every backend of tokenstore.Store must
// pass. Start with [Run]; [RunFleet] is for those that several processes can share.
//
// It tests what the interface promises, and knows nothing of any backend. What a
// crash or a damaged file does is for the backend's own tests.
package storetest
