// Package deploy is the module of what jiragate is shipped and run with: the
// programs that make a release, and the tests of everything in this folder that
// describes how to run the gateway somewhere. Start with README.md; each folder
// has one place or way to run it, with its tests beside it.
//
// It is a module of its own so that what is needed to read Kubernetes' or
// Terraform's languages, or to write an image, is no dependency of the gateway:
// it neither stands in its list of parts nor is asked for its vulnerabilities.
// The gateway doesn't know it. The tests build the gateway, and start it, as
// those who run it would.
package deploy
