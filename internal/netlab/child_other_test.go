//go:build !linux

package netlab

func asChild() {}
