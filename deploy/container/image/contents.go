package main

import (
	"archive/tar"
	"bytes"
	"fmt"
	"io"
	"strings"
	"time"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/tarball"
	"github.com/google/go-containerregistry/pkg/v1/types"
)

// user is nobody's on most machines, and the one that images without users have by
// custom.
const user = 65532

// rootFiles are what the image has besides the program: its data directory, one for
// temporary files, and CA certificates where Go looks for them (crypto/x509, root_linux.go).
func rootFiles() []file {
	return []file{
		{name: "data/", mode: 0o700, owner: user},
		{name: "etc/", mode: 0o755},
		{name: "etc/ssl/", mode: 0o755},
		{name: "etc/ssl/certs/", mode: 0o755},
		{name: "etc/ssl/certs/ca-certificates.crt", mode: 0o644, content: rootsPEM()},
		{name: "tmp/", mode: 0o1777},
	}
}

// programFiles are the program, which changes more often.
func programFiles(binary []byte) []file {
	return []file{
		{name: "usr/", mode: 0o755},
		{name: "usr/local/", mode: 0o755},
		{name: "usr/local/bin/", mode: 0o755},
		{name: "usr/local/bin/jiragate", mode: 0o755, content: binary},
	}
}

// settings are how the image is run unless told otherwise. The proxy listener is where
// other containers reach it. The admin listener stays on loopback: who opens it decides
// on its TLS, too.
func settings() v1.Config {
	return v1.Config{
		User:       "65532:65532",
		WorkingDir: "/data",
		Env: []string{
			"PATH=/usr/local/bin",
			"JIRAGATE_DATA_DIR=/data",
			"JIRAGATE_PROXY_LISTEN=0.0.0.0:8080",
		},
		Entrypoint:   []string{"/usr/local/bin/jiragate"},
		Cmd:          []string{"serve"},
		ExposedPorts: map[string]struct{}{"8080/tcp": {}},
		Volumes:      map[string]struct{}{"/data": {}},
		StopSignal:   "SIGTERM",
		Healthcheck: &v1.HealthConfig{
			Test:     []string{"CMD", "/usr/local/bin/jiragate", "status"},
			Interval: 15 * time.Second, Timeout: 10 * time.Second, StartPeriod: 10 * time.Second, Retries: 3,
		},
		Labels: labels(),
	}
}

// labels are OCI's annotations, which are labels as well for those who read only these
// (https://github.com/opencontainers/image-spec/blob/main/annotations.md).
func labels() map[string]string {
	return map[string]string{
		"org.opencontainers.image.title":       "jiragate",
		"org.opencontainers.image.description": "The outbound gateway to Jira: documented operations only, from fixed addresses, each call recorded",
		"org.opencontainers.image.licenses":    "Apache-2.0",
	}
}

// annotations are labels, and what is known of the commit.
func (c commit) annotations() map[string]string {
	m := labels()
	m["org.opencontainers.image.created"] = c.time.Format(time.RFC3339)
	if c.revision != "" {
		m["org.opencontainers.image.revision"] = c.revision
	}
	return m
}

// newImage puts an image together.
func newImage(p v1.Platform, binary []byte, c commit) (v1.Image, error) {
	img := mutate.ConfigMediaType(mutate.MediaType(empty.Image, types.OCIManifestSchema1), types.OCIConfigJSON)
	created := v1.Time{Time: c.time}
	for _, l := range []struct {
		what  string
		files []file
	}{
		{"CA certificates, /data and /tmp", rootFiles()},
		{"/usr/local/bin/jiragate", programFiles(binary)},
	} {
		layer, err := newLayer(l.files, c.time)
		if err != nil {
			return nil, err
		}
		img, err = mutate.Append(img, mutate.Addendum{Layer: layer, History: v1.History{Created: created, CreatedBy: "deploy/container/image: " + l.what}})
		if err != nil {
			return nil, err
		}
	}
	config, err := img.ConfigFile()
	if err != nil {
		return nil, err
	}
	config = config.DeepCopy()
	config.OS, config.Architecture, config.Created = p.OS, p.Architecture, created
	config.Config = settings()
	config.Config.Labels = c.annotations()
	if img, err = mutate.ConfigFile(img, config); err != nil {
		return nil, err
	}
	return mutate.Annotations(img, c.annotations()).(v1.Image), nil
}

// file is one entry of a layer; a folder if its name ends with a slash.
type file struct {
	name    string
	mode    int64
	owner   int // user and group
	content []byte
}

func newLayer(files []file, at time.Time) (v1.Layer, error) {
	var b bytes.Buffer
	w := tar.NewWriter(&b)
	for _, f := range files {
		kind := byte(tar.TypeReg)
		if strings.HasSuffix(f.name, "/") {
			kind = tar.TypeDir
		}
		h := &tar.Header{Typeflag: kind, Name: f.name, Mode: f.mode, Uid: f.owner, Gid: f.owner, Size: int64(len(f.content)), ModTime: at, Format: tar.FormatUSTAR}
		if err := w.WriteHeader(h); err != nil {
			return nil, fmt.Errorf("%s: %w", f.name, err)
		}
		if _, err := w.Write(f.content); err != nil {
			return nil, fmt.Errorf("%s: %w", f.name, err)
		}
	}
	if err := w.Close(); err != nil {
		return nil, err
	}
	return tarball.LayerFromOpener(func() (io.ReadCloser, error) {
		return io.NopCloser(bytes.NewReader(b.Bytes())), nil
	}, tarball.WithMediaType(types.OCILayer))
}
