package main

import (
	"bufio"
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"

	intoto "github.com/in-toto/attestation/go/v1"
	"google.golang.org/protobuf/encoding/protojson"
)

// sumsFile lists the SHA-256 of each other file of a release, as sha256sum does.
const sumsFile = "SHA256SUMS"

func hexSHA256(text []byte) string {
	sum := sha256.Sum256(text)
	return hex.EncodeToString(sum[:])
}

func fileSHA256(name string) (string, error) {
	f, err := os.Open(name)
	if err != nil {
		return "", err
	}
	defer f.Close()
	h := sha256.New()
	if _, err := io.Copy(h, f); err != nil {
		return "", err
	}
	return hex.EncodeToString(h.Sum(nil)), nil
}

// sumsOf gives the SHA-256 of each file in dir but SHA256SUMS, and that file's text.
func sumsOf(dir string) (map[string]string, []byte, error) {
	files, err := os.ReadDir(dir)
	if err != nil {
		return nil, nil, fmt.Errorf("the files of the release: %w", err)
	}
	sums := map[string]string{}
	var text bytes.Buffer
	for _, f := range files {
		if f.Name() == sumsFile {
			continue
		}
		sum, err := fileSHA256(filepath.Join(dir, f.Name()))
		if err != nil {
			return nil, nil, fmt.Errorf("the files of the release: %w", err)
		}
		sums[f.Name()] = sum
		fmt.Fprintf(&text, "%s  %s\n", sum, f.Name())
	}
	return sums, text.Bytes(), nil
}

func writeSums(dir string) error {
	_, text, err := sumsOf(dir)
	if err != nil {
		return err
	}
	if err := os.WriteFile(filepath.Join(dir, sumsFile), text, 0o644); err != nil {
		return fmt.Errorf("the sums of the release: %w", err)
	}
	return nil
}

// verify checks that every file in dir is as SHA256SUMS says, that none is missing or
// too many, and that the provenance names each archive with its sum. With a key it
// must be signed by it; without one, only damage shows.
func verify(ctx context.Context, dir, keyFile string, stdout io.Writer) error {
	sums, _, err := sumsOf(dir)
	if err != nil {
		return err
	}
	if err := checkSums(dir, sums); err != nil {
		return err
	}
	statement, err := readProvenance(ctx, dir, keyFile)
	if err != nil {
		return err
	}
	named := map[string]string{}
	for _, s := range statement.GetSubject() {
		named[s.GetName()] = s.GetDigest()["sha256"]
	}
	archives := 0
	for name, sum := range sums {
		if !strings.HasSuffix(name, ".tar.gz") {
			continue
		}
		archives++
		if named[name] != sum {
			return fmt.Errorf("the provenance doesn't name %s with the SHA-256 that it has, %s", name, sum)
		}
	}
	if archives == 0 {
		return fmt.Errorf("%s has no archive: is it the directory of a release?", dir)
	}
	signed := "NOT checked for a signature: give -public-key"
	if keyFile != "" {
		signed = "signed by the given key"
	}
	fmt.Fprintf(stdout, "%d files are as %s says; the provenance names %d archives, and is %s\n", len(sums), sumsFile, archives, signed)
	return nil
}

func checkSums(dir string, sums map[string]string) error {
	f, err := os.Open(filepath.Join(dir, sumsFile))
	if err != nil {
		return fmt.Errorf("the sums of the release: %w", err)
	}
	defer f.Close()
	seen := map[string]bool{}
	lines := bufio.NewScanner(f)
	for lines.Scan() {
		sum, name, ok := strings.Cut(lines.Text(), "  ")
		switch {
		case !ok:
			return fmt.Errorf("%s: the line %q is not of the form SUM, two spaces, NAME", sumsFile, lines.Text())
		case sums[name] == "":
			return fmt.Errorf("%s is missing", name)
		case sums[name] != sum:
			return fmt.Errorf("%s is not the file that was released: its SHA-256 is %s, not %s", name, sums[name], sum)
		}
		seen[name] = true
	}
	if err := lines.Err(); err != nil {
		return fmt.Errorf("the sums of the release: %w", err)
	}
	for name := range sums {
		if !seen[name] {
			return fmt.Errorf("%s is not listed in %s", name, sumsFile)
		}
	}
	return nil
}

func readProvenance(ctx context.Context, dir, keyFile string) (*intoto.Statement, error) {
	found, err := filepath.Glob(filepath.Join(dir, "*.provenance*.json"))
	if err != nil {
		return nil, fmt.Errorf("the provenance: %w", err)
	}
	if len(found) != 1 {
		return nil, fmt.Errorf("%s has %d files with a provenance, not one", dir, len(found))
	}
	var text []byte
	switch {
	case strings.HasSuffix(found[0], ".dsse.json"):
		text, err = statementIn(ctx, found[0], keyFile)
	case keyFile != "":
		return nil, errors.New("the provenance is not signed")
	default:
		text, err = os.ReadFile(found[0])
	}
	if err != nil {
		return nil, err
	}
	s := &intoto.Statement{}
	if err := protojson.Unmarshal(text, s); err != nil {
		return nil, fmt.Errorf("the provenance: %w", err)
	}
	if err := s.Validate(); err != nil {
		return nil, fmt.Errorf("the provenance: %w", err)
	}
	if s.GetPredicateType() != predicateType {
		return nil, fmt.Errorf("the provenance is a statement of type %q, not %s", s.GetPredicateType(), predicateType)
	}
	return s, nil
}
