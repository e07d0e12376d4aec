// Command image makes the container image of jiragate without a container daemon: the
// same bytes whoever makes it and wherever, from the same commit and by the same Go.
//
//	GOWORK=off go run -C deploy ./container/image -o ../image-results
//
// The folder of -o then has
//
//	oci/                      an OCI image layout with an index of all platforms
//	jiragate-oci.tar          the same as one file
//	jiragate-OS-ARCH.tar      for "docker load" and "podman load", one for each platform
//	digest                    the digest of the index, which is printed, too
//
// What is in the image, and how it is configured, is in contents.go; the Containerfile
// beside this folder says the same to those who have a daemon, and a test compares the
// two. The programs are built by the go command (program.go), or brought (-binary) by
// a release that has built them already. The CA certificates are of a Go module, so
// that go.sum pins them (roots.go). Times are all SOURCE_DATE_EPOCH, or that of the
// commit.
//
// It knows nothing of registries: what is made here is pushed by whatever tool one has
// for that.
package main
