package privatefile

import (
	"encoding/binary"
	"io/fs"
	"os"

	"golang.org/x/sys/unix"
)

// Kinds of entries of an access control list (posix_acl_xattr.h).
const (
	aclVersion = 2
	aclOwner   = 0x01
	aclUser    = 0x02
	aclMask    = 0x10
)

// aclOfOneUser reports whether the group's bits of a mode are not the group's: with an
// access control list they are the most that any entry gives (acl(5)), and this one may
// give it to the process's user alone.
func aclOfOneUser(f *os.File, mode fs.FileMode) bool {
	if mode&0o007 != 0 {
		return false
	}
	var list [256]byte // some thirty entries; one that is longer is an error, and refused
	n, err := unix.Fgetxattr(int(f.Fd()), "system.posix_acl_access", list[:])
	if err != nil || n < 4 || (n-4)%8 != 0 || binary.LittleEndian.Uint32(list[:]) != aclVersion {
		return false
	}
	for e := list[4:n]; len(e) > 0; e = e[8:] {
		tag, perm, id := binary.LittleEndian.Uint16(e), binary.LittleEndian.Uint16(e[2:]), binary.LittleEndian.Uint32(e[4:])
		switch {
		case perm == 0, tag == aclOwner, tag == aclMask:
		case tag == aclUser && id == uint32(os.Geteuid()):
		default: // another user, a group, everybody
			return false
		}
	}
	return true
}
