package main

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"fmt"
	"time"
)

// entry is a file of an archive.
type entry struct {
	name string
	mode int64
	text []byte
}

// tarball packs entries, in their order, below one folder. Owner, mode and time are
// the same whoever packs, whenever.
func tarball(folder string, at time.Time, entries []entry) ([]byte, error) {
	var b bytes.Buffer
	z, err := gzip.NewWriterLevel(&b, gzip.BestCompression)
	if err != nil {
		return nil, fmt.Errorf("the archive %s: %w", folder, err)
	}
	w := tar.NewWriter(z)
	header := func(name string, kind byte, mode int64, size int) *tar.Header {
		return &tar.Header{Typeflag: kind, Name: name, Mode: mode, Size: int64(size), ModTime: at.Truncate(time.Second)}
	}
	err = w.WriteHeader(header(folder+"/", tar.TypeDir, 0o755, 0))
	for _, e := range entries {
		if err == nil {
			err = w.WriteHeader(header(folder+"/"+e.name, tar.TypeReg, e.mode, len(e.text)))
		}
		if err == nil {
			_, err = w.Write(e.text)
		}
	}
	if err == nil {
		err = w.Close()
	}
	if err == nil {
		err = z.Close()
	}
	if err != nil {
		return nil, fmt.Errorf("the archive %s: %w", folder, err)
	}
	return b.Bytes(), nil
}
