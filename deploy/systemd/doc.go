// Package systemd tests the units that run the gateway under systemd. There is nothing to
// import; README.md says how to use them.
package systemd
