package main

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"

	slsa "github.com/in-toto/attestation/go/predicates/provenance/v1"
	intoto "github.com/in-toto/attestation/go/v1"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/types/known/structpb"
)

const (
	predicateType = "https://slsa.dev/provenance/v1"
	// buildType: what externalParameters mean is said in docs/supply-chain.md.
	buildType = "urn:jiragate:build:release:v1"
)

// provenance collects who made which files from what, as SLSA provenance v1
// (https://slsa.dev/spec/v1.0/provenance).
type provenance struct {
	builder   string // URI
	toolchain string
	version   string
	revision  string

	platforms  []any
	subjects   []*intoto.ResourceDescriptor
	byproducts []*intoto.ResourceDescriptor
	materials  map[string]*intoto.ResourceDescriptor // by URI
}

// add takes what was made for one platform.
func (p *provenance) add(b *binary, list []part, made, besides []artefact) error {
	if p.version != "" && (p.version != b.version || p.revision != b.revision) {
		return fmt.Errorf("the checkout changed while the release was made: %s became %s", p.revision, b.revision)
	}
	p.version, p.revision = b.version, b.revision
	p.platforms = append(p.platforms, b.platform.String())
	for _, a := range made {
		p.subjects = append(p.subjects, a.descriptor())
	}
	for _, a := range besides {
		p.byproducts = append(p.byproducts, a.descriptor())
	}
	if p.materials == nil {
		p.materials = map[string]*intoto.ResourceDescriptor{}
	}
	for _, m := range list {
		if m.kind != goModule {
			continue // Go is named below, and embedded files are in the commit
		}
		digest, err := m.digest()
		if err != nil {
			return err
		}
		// dirHash is the h1 of go.sum in hex:
		// https://github.com/in-toto/attestation/blob/main/spec/v1/digest_set.md
		p.materials[m.purl()] = &intoto.ResourceDescriptor{Uri: m.purl(), Digest: map[string]string{"dirHash": digest}}
	}
	return nil
}

func (a artefact) descriptor() *intoto.ResourceDescriptor {
	return &intoto.ResourceDescriptor{Name: a.name, Digest: map[string]string{"sha256": a.sha256}}
}

// predicate says how the files were made. It has no times and no name of a run, so
// that it is the same for the same release.
func (p *provenance) predicate() (*structpb.Struct, error) {
	parameters, err := structpb.NewStruct(map[string]any{
		"version": p.version, "platforms": p.platforms, "toolchain": p.toolchain,
		"command":     "go build -trimpath -buildvcs=true -mod=readonly .",
		"environment": map[string]any{"CGO_ENABLED": "0", "GOAMD64": "v1", "GOARM64": "v8.0"},
	})
	if err != nil {
		return nil, err
	}
	materials := []*intoto.ResourceDescriptor{
		{Name: "source", Digest: map[string]string{"gitCommit": p.revision}},
		{Name: "toolchain", Uri: "pkg:golang/std@" + strings.TrimPrefix(p.toolchain, "go")},
	}
	for _, uri := range slices.Sorted(maps.Keys(p.materials)) {
		materials = append(materials, p.materials[uri])
	}
	made := &slsa.Provenance{
		BuildDefinition: &slsa.BuildDefinition{BuildType: buildType, ExternalParameters: parameters, ResolvedDependencies: materials},
		RunDetails:      &slsa.RunDetails{Builder: &slsa.Builder{Id: p.builder}, Byproducts: p.byproducts},
	}
	if err := made.Validate(); err != nil {
		return nil, err
	}
	text, err := protojson.Marshal(made)
	if err != nil {
		return nil, err
	}
	predicate := &structpb.Struct{}
	return predicate, protojson.Unmarshal(text, predicate)
}

// statement is an in-toto Statement v1 in JSON.
func (p *provenance) statement() ([]byte, error) {
	predicate, err := p.predicate()
	if err != nil {
		return nil, fmt.Errorf("provenance: %w", err)
	}
	s := &intoto.Statement{Type: intoto.StatementTypeUri, Subject: p.subjects, PredicateType: predicateType, Predicate: predicate}
	if err := s.Validate(); err != nil {
		return nil, fmt.Errorf("provenance: %w", err)
	}
	text, err := protojson.Marshal(s)
	if err != nil {
		return nil, fmt.Errorf("provenance: %w", err)
	}
	// protojson puts white space where it likes, so that nobody relies on it.
	var plain any
	if err := json.Unmarshal(text, &plain); err != nil {
		return nil, fmt.Errorf("provenance: %w", err)
	}
	if text, err = json.MarshalIndent(plain, "", "  "); err != nil {
		return nil, fmt.Errorf("provenance: %w", err)
	}
	return append(text, '\n'), nil
}
