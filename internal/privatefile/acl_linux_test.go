package privatefile_test

import (
	"encoding/binary"
	"os"
	"path/filepath"
	"testing"

	"golang.org/x/sys/unix"

	"jiragate/internal/privatefile"
)

// entry is one of an access control list, as the kernel keeps it.
type entry struct {
	tag, perm uint16
	id        uint32
}

func (e entry) append(list []byte) []byte {
	list = binary.LittleEndian.AppendUint16(list, e.tag)
	list = binary.LittleEndian.AppendUint16(list, e.perm)
	return binary.LittleEndian.AppendUint32(list, e.id)
}

// TestOpenByAccessControlList: systemd gives a service's user its credentials by a list,
// and what stat(2) shows of that is the mode 0440.
func TestOpenByAccessControlList(t *testing.T) {
	const none = ^uint32(0)
	me := uint32(os.Geteuid())
	for name, tt := range map[string]struct {
		user, group, named, other uint16
		id                        uint32
		opens                     bool
	}{
		"the process's user":       {user: 4, id: me, opens: true},
		"another user":             {user: 4, id: me + 1},
		"the group, too":           {user: 4, id: me, group: 4},
		"another group, too":       {user: 4, id: me, named: 4},
		"everybody, too":           {user: 4, id: me, other: 4},
		"another user, to nothing": {user: 0, id: me + 1, opens: true},
	} {
		t.Run(name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "f")
			write(t, path, 0o400)
			list := binary.LittleEndian.AppendUint32(nil, 2)
			for _, e := range []entry{{0x01, 4, none}, {0x02, tt.user, tt.id}, {0x04, tt.group, none}, {0x08, tt.named, 12345}, {0x10, 4, none}, {0x20, tt.other, none}} {
				list = e.append(list)
			}
			if err := unix.Setxattr(path, "system.posix_acl_access", list, 0); err != nil {
				t.Fatalf("the file system of %s takes no access control list: %v", path, err)
			}
			info, err := os.Stat(path)
			if err != nil || info.Mode().Perm()&0o040 == 0 {
				t.Fatalf("the mode is %v, %v, and was to look loose", info.Mode(), err)
			}
			f, err := privatefile.Open(path, os.O_RDONLY)
			if err == nil {
				f.Close()
			}
			if (err == nil) != tt.opens {
				t.Errorf("opening it: %v", err)
			}
		})
	}
}
