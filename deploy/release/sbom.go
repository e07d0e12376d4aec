package main

import (
	"bytes"
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"strings"
	"time"

	cdx "github.com/CycloneDX/cyclonedx-go"
	"github.com/google/uuid"
	"github.com/package-url/packageurl-go"
)

// purl is the part's name in the form of https://github.com/package-url/purl-spec.
func (p part) purl() string {
	kind := packageurl.TypeGolang
	if p.kind == embeddedFile {
		kind = packageurl.TypeNPM
	}
	namespace, name := "", p.name
	if i := strings.LastIndex(name, "/"); i >= 0 {
		namespace, name = name[:i], name[i+1:]
	}
	return packageurl.NewPackageURL(kind, namespace, name, p.version, nil, "").ToString()
}

// digest is the part's SHA-256 in hex: of a module that of its list of files, which is
// what go.sum has in base64 (https://go.dev/ref/mod#go-sum-files). It is empty for std.
func (p part) digest() (string, error) {
	if p.kind != goModule {
		return p.sum, nil
	}
	encoded, ok := strings.CutPrefix(p.sum, "h1:")
	sum, err := base64.StdEncoding.DecodeString(encoded)
	if !ok || err != nil || len(sum) != 32 {
		return "", fmt.Errorf("%s %s: the sum %q is not of the form h1:BASE64", p.name, p.version, p.sum)
	}
	return hex.EncodeToString(sum), nil
}

// serialNamespace makes the serial number of a list of parts out of the program's hash,
// so that the same program has the same list.
var serialNamespace = uuid.MustParse("6e4d0d5e-0f0c-5c0b-9d3a-2f1f5a7e8c41")

// billOfMaterials writes what b is made of as CycloneDX 1.6 in JSON
// (https://cyclonedx.org/docs/1.6/json/).
func billOfMaterials(b *binary, list []part) ([]byte, error) {
	sum, err := fileSHA256(b.file)
	if err != nil {
		return nil, fmt.Errorf("the list of parts: %w", err)
	}
	refs := map[string]string{} // name of a part to its reference
	for _, p := range list {
		refs[p.name] = p.purl()
	}
	components := []cdx.Component{}
	var direct []string
	dependencies := []cdx.Dependency{{Ref: "jiragate", Dependencies: &direct}}
	for _, p := range list {
		c, err := p.component()
		if err != nil {
			return nil, err
		}
		components = append(components, c)
		if p.direct {
			direct = append(direct, p.purl())
		}
		d := cdx.Dependency{Ref: p.purl()}
		if len(p.dependsOn) > 0 {
			d.Dependencies = &[]string{}
			for _, name := range p.dependsOn {
				*d.Dependencies = append(*d.Dependencies, refs[name])
			}
		}
		dependencies = append(dependencies, d)
	}
	program := programComponent(b, sum)
	bom := cdx.NewBOM()
	bom.SerialNumber = "urn:uuid:" + uuid.NewSHA1(serialNamespace, []byte(sum)).String()
	bom.Metadata = &cdx.Metadata{
		Timestamp:  b.time.Format(time.RFC3339),
		Lifecycles: &[]cdx.Lifecycle{{Phase: cdx.LifecyclePhaseBuild}},
		Tools: &cdx.ToolsChoice{Components: &[]cdx.Component{
			{Type: cdx.ComponentTypeApplication, Name: "jiragate/deploy/release", Version: b.version},
			{Type: cdx.ComponentTypeApplication, Name: "go", Version: strings.TrimPrefix(b.info.GoVersion, "go")},
		}},
		Component: &program,
	}
	bom.Components, bom.Dependencies = &components, &dependencies
	// The toolchain lists every module that is linked, so nothing is missing.
	bom.Compositions = &[]cdx.Composition{{Aggregate: cdx.CompositionAggregateComplete, Assemblies: &[]cdx.BOMReference{"jiragate"}}}
	var text bytes.Buffer
	encoder := cdx.NewBOMEncoder(&text, cdx.BOMFileFormatJSON).SetPretty(true).SetEscapeHTML(false)
	if err := encoder.EncodeVersion(bom, cdx.SpecVersion1_6); err != nil {
		return nil, fmt.Errorf("the list of parts: %w", err)
	}
	return text.Bytes(), nil
}

func programComponent(b *binary, sum string) cdx.Component {
	properties := []cdx.Property{{Name: "jiragate:vcs.revision", Value: b.revision}}
	for _, s := range b.info.Settings {
		if !strings.HasPrefix(s.Key, "vcs") {
			properties = append(properties, cdx.Property{Name: "jiragate:build:" + s.Key, Value: s.Value})
		}
	}
	return cdx.Component{
		Type: cdx.ComponentTypeApplication, BOMRef: "jiragate", Name: "jiragate", Version: b.version,
		PackageURL: packageurl.NewPackageURL(packageurl.TypeGolang, "", "jiragate", b.version,
			packageurl.QualifiersFromMap(map[string]string{"goos": b.platform.os, "goarch": b.platform.arch}), "").ToString(),
		Hashes:     &[]cdx.Hash{{Algorithm: cdx.HashAlgoSHA256, Value: sum}},
		Licenses:   licenceChoices([]string{"Apache-2.0"}),
		Properties: &properties,
	}
}

func (p part) component() (cdx.Component, error) {
	c := cdx.Component{Type: cdx.ComponentTypeLibrary, BOMRef: p.purl(), Name: p.name, Version: p.version,
		PackageURL: p.purl(), Scope: cdx.ScopeRequired, Licenses: licenceChoices(p.licences)}
	digest, err := p.digest()
	if err != nil {
		return cdx.Component{}, err
	}
	if digest != "" {
		c.Hashes = &[]cdx.Hash{{Algorithm: cdx.HashAlgoSHA256, Value: digest}}
	}
	if p.kind == goModule {
		c.Properties = &[]cdx.Property{{Name: "jiragate:go.sum", Value: p.sum}}
	}
	return c, nil
}

func licenceChoices(ids []string) *cdx.Licenses {
	list := cdx.Licenses{}
	for _, id := range ids {
		list = append(list, cdx.LicenseChoice{License: &cdx.License{ID: id, Acknowledgement: cdx.LicenseAcknowledgementConcluded}})
	}
	return &list
}
