// Package kubernetes has nothing but tests: of the manifests in this folder, which
// kustomize puts together. README.md says how to use them.
//
// The tests render each overlay, decode it as a cluster would, judge it by Pod
// Security and by who reaches whom under its network policies, and run etcd and
// two gateways by what it says, on this machine. They know no cluster: what only
// one can tell is listed at the end of README.md.
package kubernetes
