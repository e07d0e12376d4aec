// Command member is one member of an etcd cluster: etcd's own program, with all its
// flags. It is in a module of its own so that the gateway's module depends on etcd's
// client alone; the package etcdlab, one directory up, builds it and runs it.
package main

import (
	"os"

	"go.etcd.io/etcd/server/v3/etcdmain"
)

func main() { etcdmain.Main(os.Args) }
