//go:build !unix

package upstream

const canLook = false

func readNow(uintptr, []byte) (int, error) { return 0, nothing{} }

func writeNow(uintptr, []byte) (int, error) { return 0, nil }
