package admin

import (
	"bytes"
	"flag"
	"os"
	"reflect"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/getkin/kin-openapi/openapi3"
)

var update = flag.Bool("update", false, "write openapi.json anew")

// The document is that of the routes, the types and what is said about them here.
func TestDescription(t *testing.T) {
	want := encoded(t, describeAll(t))
	if *update {
		if err := os.WriteFile("openapi.json", want, 0o644); err != nil {
			t.Fatal(err)
		}
		t.Skip("openapi.json is written: run the test again without -update")
	}
	if !bytes.Equal(description, want) {
		t.Error("openapi.json is not what routes, types and descriptions make: go test ./gateway/admin -run TestDescription$ -update")
	}
	doc, err := openapi3.NewLoader().LoadFromData(description)
	if err != nil {
		t.Fatal(err)
	}
	if err := doc.Validate(t.Context()); err != nil {
		t.Error(err)
	}
}

// Each route has its entry in the document, with the role that it needs; and there are
// no others.
func TestDescriptionHasTheRoutes(t *testing.T) {
	doc, err := openapi3.NewLoader().LoadFromData(description)
	if err != nil {
		t.Fatal(err)
	}
	inDocument := map[string]string{}
	for path, item := range doc.Paths.Map() {
		for method, op := range item.Operations() {
			role, _ := op.Extensions["x-role"].(string)
			inDocument[method+" "+path] = role
		}
	}
	served := map[string]string{}
	for _, r := range (&API{}).routes(readinessInFull) {
		served[r.method+" "+r.path] = roleName(r.role)
	}
	for route, role := range served {
		if inDocument[route] != role {
			t.Errorf("%s needs the role %q; the document says %q", route, role, inDocument[route])
		}
	}
	for route := range inDocument {
		if _, ok := served[route]; !ok {
			t.Errorf("%s is in the document, and there is no such route", route)
		}
	}
}

// The properties of each schema are those that encoding/json gives the Go type.
func TestDescriptionHasTheTypes(t *testing.T) {
	doc, err := openapi3.NewLoader().LoadFromData(description)
	if err != nil {
		t.Fatal(err)
	}
	for route, d := range descriptions {
		for _, v := range []any{d.request, d.answer} {
			is := reflect.TypeOf(v)
			if is != nil && is.Kind() == reflect.Slice {
				is = is.Elem()
			}
			if is == nil || is.Kind() != reflect.Struct {
				continue
			}
			schema := doc.Components.Schemas[schemaName(is)]
			if schema == nil {
				t.Errorf("%s: the document has no schema of %s", route, is)
				continue
			}
			var names []string
			for _, f := range reflect.VisibleFields(is) {
				if tag, _, _ := strings.Cut(f.Tag.Get("json"), ","); !f.Anonymous {
					names = append(names, tag)
					if schema.Value.Properties[tag] == nil {
						t.Errorf("%s: %s has %q, and its schema doesn't", route, is, tag)
					}
				}
			}
			if len(names) != len(schema.Value.Properties) {
				t.Errorf("%s: %s has %q; the schema has %d properties", route, is, names, len(schema.Value.Properties))
			}
		}
	}
}

// refusals are the statuses that a problem can have, as the document describes them.
var refusalTexts = map[int]string{
	400: "The request is not valid; the detail says why",
	401: "The admin token is missing or wrong",
	403: "The caller's role doesn't allow it, or the request comes from a page of another site",
	404: "There is nothing of that name",
	409: "The state that something is in is against it; the detail says what",
	413: "The body is too large",
	415: "The body is not application/json",
	421: "The Host is not a name of the admin listener",
	429: "Too many tokens from the caller's address were wrong; Retry-After tells for how long to wait",
	500: "The gateway failed",
	503: "What is needed for it is not there, or not at the moment; the detail says what",
}

func roleName(r Role) string {
	if r == RoleNone {
		return "none"
	}
	return string(r)
}

// describeAll makes the document.
func describeAll(t *testing.T) object {
	t.Helper()
	s := newSchemas(t)
	paths, parameters, responses := object{}, object{}, object{}
	undescribed := map[string]bool{}
	for route := range descriptions {
		undescribed[route] = true
	}
	for _, r := range (&API{}).routes(readinessInFull) {
		name := r.method + " " + r.path
		d, ok := descriptions[name]
		if !ok {
			t.Errorf("%s has no entry in descriptions", name)
			continue
		}
		delete(undescribed, name)
		item, _ := paths[r.path].(object)
		if item == nil {
			item = object{}
			paths[r.path] = item
		}
		item[strings.ToLower(r.method)] = s.operation(t, r, d)
	}
	for name := range undescribed {
		t.Errorf("%s has an entry in descriptions, and is no route", name)
	}
	for _, p := range pathParameters {
		parameters[p.name] = object{"name": p.name, "in": "path", "required": true, "description": p.description, "schema": object{"type": "string"}}
	}
	problem := s.of(reflect.TypeFor[Problem](), false)
	for status, text := range refusalTexts {
		responses[strconv.Itoa(status)] = object{"description": text, "content": object{problemType: object{"schema": problem}}}
	}
	return object{
		"openapi": "3.0.3",
		"info": object{
			"title":   "jiragate admin API",
			"version": "1",
			"description": "Connections, clients, grants, keys, policy, egress addresses, audit log and store of a gateway. " +
				"Over the network a request has the admin token; over the socket in the data directory the operating system vouches for the caller. " +
				"x-role is the least role that may use an operation: none, viewer, compliance or admin. " +
				"An answer of a later version may have members that are not in this document.",
		},
		"servers":  []object{{"url": "/"}},
		"security": []object{{"token": []string{}}},
		"paths":    paths,
		"components": object{
			"schemas":    s.made,
			"parameters": parameters,
			"responses":  responses,
			"headers": object{
				"Link":        object{"description": "Where the next page is, if there is one (RFC 8288)", "schema": object{"type": "string"}},
				"Total-Count": object{"description": "How many match, on whatever page", "schema": object{"type": "integer", "minimum": 0}},
			},
			"securitySchemes": object{"token": object{"type": "http", "scheme": "bearer", "description": "The admin token (RFC 6750)"}},
		},
	}
}

// operation describes one route.
func (s *schemas) operation(t *testing.T, r route, d described) object {
	t.Helper()
	if d.id == "" || d.summary == "" {
		t.Errorf("%s %s: the description has no id or no summary", r.method, r.path)
	}
	op := object{"operationId": d.id, "summary": d.summary, "x-role": roleName(r.role), "tags": []string{tagOf(r.path)}}
	if d.description != "" {
		op["description"] = d.description
	}
	refusals := []int{421, 500}
	if r.role == RoleNone {
		op["security"] = []object{}
	} else {
		refusals = append(refusals, 401, 403, 429, 503)
	}
	var parameters []object
	for _, m := range regexp.MustCompile(`\{(\w+)\}`).FindAllStringSubmatch(r.path, -1) {
		if !slices.ContainsFunc(pathParameters, func(p parameter) bool { return p.name == m[1] }) {
			t.Errorf("%s: %s has no entry in pathParameters", r.path, m[1])
		}
		parameters = append(parameters, object{"$ref": "#/components/parameters/" + m[1]})
		refusals = append(refusals, 400, 404)
	}
	for _, p := range d.query {
		parameters = append(parameters, p.inQuery())
		refusals = append(refusals, 400, 404)
	}
	if parameters != nil {
		op["parameters"] = parameters
	}
	if d.request != nil {
		op["requestBody"] = object{"required": !d.mayBeEmpty, "content": object{"application/json": object{"schema": s.of(reflect.TypeOf(d.request), true)}}}
		refusals = append(refusals, 400, 404, 413, 415)
	}
	if d.conflict {
		refusals = append(refusals, 409)
	}
	responses := object{}
	for _, status := range refusals {
		responses[strconv.Itoa(status)] = object{"$ref": "#/components/responses/" + strconv.Itoa(status)}
	}
	answer := s.answer(d)
	responses[strconv.Itoa(max(200, d.status))] = answer
	if d.also != 0 {
		responses[strconv.Itoa(d.also)] = answer
	}
	op["responses"] = responses
	return op
}

func (s *schemas) answer(d described) object {
	answer := object{"description": "Done"}
	content := object{}
	for _, media := range d.media {
		schema := object{"type": "string"}
		if !strings.HasPrefix(media, "text/") {
			schema["format"] = "binary"
		}
		content[media] = object{"schema": schema}
	}
	if d.answer != nil {
		schema := object{"type": "object"}
		if is := reflect.TypeOf(d.answer); is != reflect.TypeFor[object]() {
			schema = s.of(is, false)
		}
		content["application/json"] = object{"schema": schema}
	}
	if len(content) > 0 {
		answer["content"] = content
	}
	if d.paged {
		answer["headers"] = object{
			"Link":        object{"$ref": "#/components/headers/Link"},
			"Total-Count": object{"$ref": "#/components/headers/Total-Count"},
		}
	}
	return answer
}

func (p parameter) inQuery() object {
	schema := object{"type": "string"}
	if p.high > 0 {
		schema = object{"type": "integer", "minimum": p.low, "maximum": p.high}
	}
	if p.values != nil {
		schema["enum"] = p.values
	}
	in := object{"name": p.name, "in": "query", "description": p.description, "schema": schema}
	if p.required {
		in["required"] = true
	} else {
		in["allowEmptyValue"] = true // which is as if it weren't there
	}
	return in
}

// tagOf is the part of the API that a path belongs to.
func tagOf(path string) string {
	rest, ok := strings.CutPrefix(path, "/v1/")
	if !ok || path == descriptionPath {
		return "service"
	}
	part, _, _ := strings.Cut(rest, "/")
	return part
}
