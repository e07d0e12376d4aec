// Package confined has the gateway do its whole work as a process that may do little
// else: under a list of system calls, without capabilities, as a user of its own. It is
// for the tests of deploy's folders that confine the gateway somewhere.
//
// A test's TestMain calls [Main]. [Run] then does the work under a [Filter] and fails the
// test at the first thing that did not come of it; [Probe] shows that what is not in the
// filter is refused. The confinement is put on by the test's own program, run again, which
// then becomes the gateway (execve(2)), as systemd and container runtimes do it.
//
// It knows nothing of where a filter comes from.
package confined
