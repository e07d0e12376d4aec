package main

import (
	"bufio"
	"io"
	"os"
	"strconv"
	"strings"
)

// microSection is where results of go test -bench are kept.
const microSection = "micro"

func (r *results) addMicro(file string) error {
	f, err := os.Open(file)
	if err != nil {
		return err
	}
	defer f.Close()
	return r.readMicro(f)
}

// readMicro takes the results from the output of go test -bench. A row is a package and a
// benchmark, with its variant and without the number of processors.
func (r *results) readMicro(in io.Reader) error {
	lines := bufio.NewScanner(in)
	pkg := ""
	for lines.Scan() {
		if p, ok := strings.CutPrefix(lines.Text(), "pkg: "); ok {
			pkg = p
		}
		fields := strings.Fields(lines.Text())
		if len(fields) < 4 || !strings.HasPrefix(fields[0], "Benchmark") {
			continue
		}
		name := fields[0]
		if i := strings.LastIndexByte(name, '-'); i > 0 {
			if _, err := strconv.Atoi(name[i+1:]); err == nil {
				name = name[:i]
			}
		}
		for i := 2; i+1 < len(fields); i += 2 { // after the count: value and unit
			if value, err := strconv.ParseFloat(fields[i], 64); err == nil {
				r.add(microSection, pkg+" "+name, fields[i+1], value)
			}
		}
	}
	return lines.Err()
}
