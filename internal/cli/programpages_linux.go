package cli

import (
	"bufio"
	"errors"
	"io"
	"os"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// giveProgramBack has the kernel take the pages of the program from the process, of which
// starting reads about 35 MiB. Calls need about half of these, and what is needed is mapped
// again from the page cache.
//
// It is safe since these are the file's own pages, code and constants, of which the
// process has changed none: mappings that it may write to, and those with a page that is
// no more the file's (as behind relocations or a debugger's breakpoint), are left alone.
func giveProgramBack() error {
	program, err := os.Readlink("/proc/self/exe")
	if err != nil {
		return err
	}
	f, err := os.Open("/proc/self/smaps")
	if err != nil {
		return err
	}
	defer f.Close()
	mappings, err := readMappings(f)
	for _, m := range mappings {
		if m.file == program && m.clean {
			// Of the file's own pages nothing is lost (madvise(2)).
			_, _, errno := unix.Syscall(unix.SYS_MADVISE, m.start, m.length, unix.MADV_DONTNEED)
			if errno == unix.EINVAL { // locked, see JIRAGATE_MEMORY_LOCK
				_, _, errno = unix.Syscall(unix.SYS_MADVISE, m.start, m.length, unix.MADV_DONTNEED_LOCKED)
			}
			if errno != 0 {
				err = errors.Join(err, errno)
			}
		}
	}
	return err
}

// mapping is a part of the memory of the process.
type mapping struct {
	start, length uintptr
	file          string
	clean         bool // nobody may write to it, and nobody has
}

// readMappings reads smaps of a process (proc_pid_smaps(5)).
func readMappings(smaps io.Reader) (all []mapping, _ error) {
	lines := bufio.NewScanner(smaps)
	readOnly, changed := false, true // as far as is known of the last one
	for lines.Scan() {
		if m, perms, ok := parseMapping(lines.Text()); ok {
			all = append(all, m)
			readOnly, changed = strings.HasPrefix(perms, "r-") && strings.HasSuffix(perms, "p"), true
			continue
		}
		key, size, _ := strings.Cut(lines.Text(), ":")
		none := strings.TrimSpace(size) == "0 kB"
		switch {
		case len(all) == 0:
		case key == "Anonymous":
			changed = !none
		case key == "Swap":
			all[len(all)-1].clean = readOnly && !changed && none
		}
	}
	return all, lines.Err()
}

// parseMapping reads the line that begins one: "start-end perms offset device inode file".
func parseMapping(line string) (m mapping, perms string, ok bool) {
	fields := strings.Fields(line)
	if len(fields) < 5 {
		return m, "", false
	}
	from, to, ok := strings.Cut(fields[0], "-")
	start, err := strconv.ParseUint(from, 16, 64)
	end, err2 := strconv.ParseUint(to, 16, 64)
	if !ok || err != nil || err2 != nil || end < start {
		return m, "", false
	}
	m = mapping{start: uintptr(start), length: uintptr(end - start), file: strings.Join(fields[5:], " ")}
	return m, fields[1], true
}
