package admin

import (
	"encoding/json"
	"go/ast"
	"go/parser"
	"go/token"
	"path/filepath"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"jiragate/gateway/audit"
	"jiragate/policy"
	"jiragate/tokenstore"
)

// object is one of JSON.
type object = map[string]any

// schemas makes the schemas of the OpenAPI document of the Go types that handlers
// encode and decode, and their descriptions of the comments of those.
type schemas struct {
	comments map[string]comment // by package path and type
	made     object             // by name
}

// comment is what the source says about a type and its fields, by their Go names.
type comment struct {
	doc    string
	fields map[string]string
}

// sources are the packages whose types cross the wire.
var sources = map[string]string{
	"jiragate/gateway/admin":           ".",
	"jiragate/gateway/audit":           "../audit",
	"jiragate/gateway/audit/activity":  "../audit/activity",
	"jiragate/gateway/audit/published": "../audit/published",
	"jiragate/policy":                  "../../policy",
}

// enums are the values of fields that are strings in Go, by type and field of the
// document.
var enums = map[string][]string{
	"ReloadedPart.result":    texts(PartUnchanged, PartReloaded, PartKept),
	"Connection.edition":     texts(policy.Cloud, policy.DataCenter),
	"Connection.region":      texts(tokenstore.RegionUS, tokenstore.RegionEU),
	"Connection.credential":  texts(tokenstore.KindBasic, tokenstore.KindPAT, tokenstore.KindOAuth1, tokenstore.KindOAuth2),
	"Connection.state":       texts(tokenstore.StateActive, tokenstore.StateExpiring, tokenstore.StateNeedsReauthorisation, tokenstore.StateDisabled),
	"NewConnection.edition":  texts(policy.Cloud, policy.DataCenter),
	"NewConnection.region":   texts(tokenstore.RegionUS, tokenstore.RegionEU),
	"Credential.kind":        texts(tokenstore.KindBasic, tokenstore.KindPAT, tokenstore.KindOAuth1, tokenstore.KindOAuth2),
	"Grant.rotation":         {"refreshing", "ambiguous"},
	"LastCall.decision":      {"allow", "deny"},
	"Record.decision":        {"allow", "deny"},
	"ReportRequest.format":   {"html", "csv", "json"},
	"Explanation.decision":   {"allow", "deny"},
	"Removal.revocation":     {"done", "not_offered", revocationFailed},
	"Readiness.status":       {"ready", "not_ready"},
	"CheckResult.status":     {checkOK, checkFailing},
	"EgressAddress.state":    {"announced", "in_use", "retired", stateUnpublished},
	"EgressAddress.verified": {"verified", "differs", "unknown"},
	"EgressProof.verdict":    {"verified", "differs", "unknown"},
	"EchoAnswer.outcome":     {"ok", "mismatch", "failed"},
	"EgressChange.action":    {"use", "retire"},
	"PolicyDiff.effect":      texts(policy.EffectNone, policy.EffectLess, policy.EffectMore, policy.EffectUnsure),
	"Change.effect":          texts(policy.EffectNone, policy.EffectLess, policy.EffectMore, policy.EffectUnsure),
	"Change.kind":            {policy.KindVersion, policy.KindOperation, policy.KindRule, policy.KindOrder},
}

// optional are members of requests that Go always writes and handlers can do without.
var optional = []string{"Credential.kind"}

// preencoded are the members that are in JSON already when they are put into an answer,
// each with a value of a type that encodes like it. That the two agree is checked with
// each answer that has one.
var preencoded = map[string]any{
	"PolicyView.operations":     []Operation{},
	"KeptPolicyView.operations": []Operation{},
	"AuditRecords.records":      []audit.Record{},
	"AuditRecord.record":        audit.Record{},
}

// Operation is one documented thing that may be done in one edition.
type Operation struct {
	ID          string                  `json:"id"`
	Edition     string                  `json:"edition"`
	Purpose     string                  `json:"purpose"`
	Method      string                  `json:"method"`
	Path        string                  `json:"path"`
	When        string                  `json:"when,omitempty"`
	Query       []string                `json:"query"`
	Parameters  []policy.QueryParameter `json:"parameters"`
	Body        string                  `json:"body"`
	Projects    string                  `json:"projects"`
	Scope       string                  `json:"scope"`
	SuccessorOf string                  `json:"successor_of,omitempty"`
	Enabled     bool                    `json:"enabled"`
}

func texts[T ~string](values ...T) (list []string) {
	for _, v := range values {
		list = append(list, string(v))
	}
	return list
}

func newSchemas(t *testing.T) *schemas {
	t.Helper()
	s := &schemas{comments: map[string]comment{}, made: object{}}
	for pkg, dir := range sources {
		files, err := filepath.Glob(filepath.Join(dir, "*.go"))
		if err != nil {
			t.Fatal(err)
		}
		for _, file := range files {
			if strings.HasSuffix(file, "_test.go") && filepath.Base(file) != "descriptionschema_test.go" { // which has Operation
				continue
			}
			f, err := parser.ParseFile(token.NewFileSet(), file, nil, parser.ParseComments)
			if err != nil {
				t.Fatal(err)
			}
			s.read(pkg, f)
		}
	}
	return s
}

// read takes the comments of the types in a file.
func (s *schemas) read(pkg string, f *ast.File) {
	for _, d := range f.Decls {
		group, ok := d.(*ast.GenDecl)
		if !ok || group.Tok != token.TYPE {
			continue
		}
		for _, spec := range group.Specs {
			ts := spec.(*ast.TypeSpec)
			c := comment{doc: group.Doc.Text(), fields: map[string]string{}}
			if st, ok := ts.Type.(*ast.StructType); ok {
				for _, field := range st.Fields.List {
					text := strings.TrimSpace(field.Doc.Text() + " " + field.Comment.Text())
					for _, name := range field.Names {
						c.fields[name.Name] = text
					}
				}
			}
			s.comments[pkg+"."+ts.Name.Name] = c
		}
	}
}

// of returns the schema of the values of a type. A request may have no members that
// aren't in it; an answer of a later version may.
func (s *schemas) of(t reflect.Type, request bool) object {
	switch t {
	case reflect.TypeFor[time.Time]():
		return object{"type": "string", "format": "date-time"}
	case reflect.TypeFor[[]byte]():
		return object{"type": "string", "format": "byte"}
	}
	switch t.Kind() {
	case reflect.Pointer:
		return s.of(t.Elem(), request)
	case reflect.Struct:
		return s.reference(t, request)
	case reflect.Slice:
		return object{"type": "array", "items": s.of(t.Elem(), request)}
	case reflect.Map:
		return object{"type": "object", "additionalProperties": s.of(t.Elem(), request)}
	case reflect.Bool:
		return object{"type": "boolean"}
	case reflect.Int, reflect.Int64:
		return object{"type": "integer", "format": "int64"}
	case reflect.Uint32, reflect.Uint64:
		return object{"type": "integer", "format": "int64", "minimum": 0}
	case reflect.Float64:
		return object{"type": "number"}
	case reflect.String:
		return object{"type": "string"}
	}
	panic("no schema of " + t.String())
}

// schemaName is the name of a type in the document: that of what a request carries
// hasn't got the "Body" of the type that spells it out.
func schemaName(t reflect.Type) string {
	name := strings.TrimSuffix(t.Name(), "Body")
	return strings.ToUpper(name[:1]) + name[1:]
}

func (s *schemas) reference(t reflect.Type, request bool) object {
	name := schemaName(t)
	if _, ok := s.made[name]; !ok {
		schema := object{"type": "object"}
		s.made[name] = schema // before its fields, which may refer to it
		properties, required := object{}, []string{}
		for _, f := range reflect.VisibleFields(t) {
			tag, options, _ := strings.Cut(f.Tag.Get("json"), ",")
			if f.Anonymous || tag == "" || tag == "-" {
				continue
			}
			at := name + "." + tag
			is := f.Type
			if as, ok := preencoded[at]; ok {
				is = reflect.TypeOf(as)
			}
			property := s.of(is, request)
			if values := enums[at]; values != nil {
				property["enum"] = values
			}
			if text := s.about(t, f); text != "" {
				if _, ref := property["$ref"]; ref { // beside which nothing counts
					property = object{"allOf": []object{property}}
				}
				property["description"] = text
			}
			properties[tag] = property
			if !strings.Contains(options, "omit") && !slices.Contains(optional, at) {
				required = append(required, tag)
			}
		}
		schema["properties"] = properties
		if len(required) > 0 {
			schema["required"] = required
		}
		if request {
			schema["additionalProperties"] = false
		}
		if doc := s.comment(t).doc; doc != "" {
			schema["description"] = plainly(doc)
		}
	}
	return object{"$ref": "#/components/schemas/" + name}
}

// comment is that of a type; of one that spells out a request, that of the type which
// it does this for, where it has none itself.
func (s *schemas) comment(t reflect.Type) comment {
	c := s.comments[t.PkgPath()+"."+t.Name()]
	if of, ok := s.comments[t.PkgPath()+"."+schemaName(t)]; ok && c.doc == "" {
		return of
	}
	return c
}

// about is the comment of a field, which speaks of the members of the document by the
// names that they have there.
func (s *schemas) about(t reflect.Type, f reflect.StructField) string {
	owner := t
	for _, i := range f.Index[:len(f.Index)-1] { // of an embedded type
		if owner = owner.Field(i).Type; owner.Kind() == reflect.Pointer {
			owner = owner.Elem()
		}
	}
	text := plainly(s.comment(owner).fields[f.Name])
	for _, other := range reflect.VisibleFields(owner) {
		tag, _, _ := strings.Cut(other.Tag.Get("json"), ",")
		if tag == "" {
			continue
		}
		camel := strings.ToLower(other.Name) != strings.ReplaceAll(tag, "_", "") || strings.Contains(tag, "_")
		if camel || strings.HasPrefix(text, other.Name+" ") || strings.HasPrefix(text, other.Name+",") {
			text = regexp.MustCompile(`\b`+other.Name+`\b`).ReplaceAllString(text, tag)
		}
	}
	return text
}

// plainly is a comment of Go in one line, without links.
func plainly(doc string) string {
	doc = regexp.MustCompile(`\[(?:\w+\.)?(\w+)\]`).ReplaceAllString(doc, "$1")
	return strings.Join(strings.Fields(doc), " ")
}

// encoded is a document as it is kept in the repository.
func encoded(t *testing.T, v any) []byte {
	t.Helper()
	b, err := json.MarshalIndent(v, "", "  ")
	if err != nil {
		t.Fatal(err)
	}
	return append(b, '\n')
}
