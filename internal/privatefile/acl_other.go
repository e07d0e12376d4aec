//go:build !linux

package privatefile

import (
	"io/fs"
	"os"
)

func aclOfOneUser(*os.File, fs.FileMode) bool { return false }
