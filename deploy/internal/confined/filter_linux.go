package confined

import (
	"slices"

	seccomp "github.com/elastic/go-seccomp-bpf"
	"github.com/elastic/go-seccomp-bpf/arch"
)

// Filter is a list of system calls that a process may make (seccomp(2)).
type Filter struct {
	// Names may hold names that this machine's architecture doesn't have.
	Names []string
	// If holds system calls that are allowed if an argument is right, once for each
	// condition.
	If []Condition
	// Kill ends a process that makes another one, by SIGSYS. Without it that one fails
	// with EPERM.
	Kill bool
}

// Condition allows a system call by one argument: it has that value, or, with Mask set,
// none of the bits in Mask.
type Condition struct {
	Name     string
	Argument uint32
	Value    uint64
	Mask     uint64
}

// policy is the filter as the library has it, for this machine.
func (f Filter) policy() (seccomp.Policy, error) {
	machine, err := arch.GetInfo("")
	if err != nil {
		return seccomp.Policy{}, err
	}
	allowed := seccomp.SyscallGroup{Action: seccomp.ActionAllow}
	for _, name := range slices.Compact(slices.Sorted(slices.Values(f.Names))) {
		if _, ok := machine.SyscallNames[name]; ok {
			allowed.Names = append(allowed.Names, name)
		}
	}
	for _, c := range f.If {
		if _, ok := machine.SyscallNames[c.Name]; !ok {
			continue
		}
		condition := seccomp.Condition{Argument: c.Argument, Operation: seccomp.Equal, Value: c.Value}
		if c.Mask != 0 {
			condition.Operation, condition.Value = seccomp.BitsNotSet, c.Mask
		}
		allowed.NamesWithCondtions = append(allowed.NamesWithCondtions, seccomp.NameWithConditions{Name: c.Name, Conditions: seccomp.ArgumentConditions{condition}})
	}
	p := seccomp.Policy{DefaultAction: seccomp.ActionErrno, Syscalls: []seccomp.SyscallGroup{allowed}}
	if f.Kill {
		p.DefaultAction = seccomp.ActionKillProcess
	}
	return p, nil
}
