package admin_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"mime"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"sync"
	"testing"

	"github.com/getkin/kin-openapi/openapi3"
	"github.com/getkin/kin-openapi/openapi3filter"
	"github.com/getkin/kin-openapi/routers"
)

// described is h, each answer of which, and each request that it takes, is checked
// against the OpenAPI document.
func described(t testing.TB, h http.Handler) http.Handler {
	t.Helper()
	d, err := readDescription()
	if err != nil {
		t.Fatal(err)
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		var body bytes.Buffer
		r = r.WithContext(r.Context())
		if r.Body != nil {
			r.Body = struct {
				io.Reader
				io.Closer
			}{io.TeeReader(r.Body, &body), r.Body}
		}
		answer := &tapped{ResponseWriter: w}
		h.ServeHTTP(answer, r)
		if err := d.check(r, body.Bytes(), answer.status, answer.Header(), answer.body.Bytes()); err != nil {
			t.Errorf("%s %s is not as openapi.json has it: %v", r.Method, r.URL, err)
		}
	})
}

// tapped keeps a copy of an answer.
type tapped struct {
	http.ResponseWriter
	status int
	body   bytes.Buffer
}

func (w *tapped) WriteHeader(status int) {
	w.status = status
	w.ResponseWriter.WriteHeader(status)
}

func (w *tapped) Write(p []byte) (int, error) {
	if w.status == 0 {
		w.status = http.StatusOK
	}
	w.body.Write(p)
	return w.ResponseWriter.Write(p)
}

func (w *tapped) Flush() { _ = http.NewResponseController(w.ResponseWriter).Flush() }

// Unwrap is for http.ResponseController.
func (w *tapped) Unwrap() http.ResponseWriter { return w.ResponseWriter }

// documentation is the OpenAPI document, with a way from requests to its operations.
type documentation struct {
	doc    *openapi3.T
	routes *http.ServeMux
}

// foundRoute is what the routes of a documentation pass back in the context.
type foundRoute struct {
	route *routers.Route
	path  map[string]string
}

type foundKey struct{}

var readDescription = sync.OnceValues(func() (*documentation, error) {
	b, err := os.ReadFile("openapi.json")
	if err != nil {
		return nil, err
	}
	doc, err := openapi3.NewLoader().LoadFromData(b)
	if err != nil {
		return nil, err
	}
	never := false
	for _, schema := range doc.Components.Schemas {
		// Clients let members pass that they don't know. Here there are none.
		schema.Value.AdditionalProperties = openapi3.AdditionalProperties{Has: &never}
	}
	d := &documentation{doc, http.NewServeMux()}
	for path, item := range doc.Paths.Map() {
		for method, op := range item.Operations() {
			route := &routers.Route{Spec: doc, Path: path, PathItem: item, Method: method, Operation: op}
			d.routes.HandleFunc(method+" "+path, func(_ http.ResponseWriter, r *http.Request) {
				found := r.Context().Value(foundKey{}).(*foundRoute)
				found.route, found.path = route, map[string]string{}
				for _, p := range op.Parameters {
					if p.Value.In == openapi3.ParameterInPath {
						found.path[p.Value.Name] = r.PathValue(p.Value.Name)
					}
				}
			})
		}
	}
	return d, nil
})

// check says what of a request or its answer isn't in the document. Requests that are
// refused need not be as the document wants them.
func (d *documentation) check(r *http.Request, body []byte, status int, header http.Header, answer []byte) error {
	found := &foundRoute{}
	asked := r.Clone(context.WithValue(context.Background(), foundKey{}, found))
	d.routes.ServeHTTP(httptest.NewRecorder(), asked)
	switch {
	case found.route == nil && strings.HasPrefix(r.URL.Path, "/v1/") && status < 300:
		return fmt.Errorf("no such operation, and the status is %d", status)
	case found.route == nil, r.Method == http.MethodHead:
		return nil
	}
	options := &openapi3filter.Options{
		AuthenticationFunc:                openapi3filter.NoopAuthenticationFunc, // what TestGuard and TestRoles are about
		IncludeResponseStatus:             true,
		RejectWhenRequestBodyNotSpecified: true,
		SkipSettingDefaults:               true,
	}
	request := &openapi3filter.RequestValidationInput{Request: r.Clone(context.Background()), PathParams: found.path, Route: found.route, Options: options}
	request.Request.Body = io.NopCloser(bytes.NewReader(body))
	query := request.Request.URL.Query()
	for name, values := range query {
		if found.route.Operation.Parameters.GetByInAndName(openapi3.ParameterInQuery, name) == nil && status < 300 {
			return fmt.Errorf("the query has %q, which is not documented", name)
		}
		if len(values) == 1 && values[0] == "" {
			delete(query, name) // as if it weren't there
		}
	}
	request.Request.URL.RawQuery = query.Encode()
	if status < 300 {
		if err := openapi3filter.ValidateRequest(context.Background(), request); err != nil {
			return fmt.Errorf("the request was taken: %w", err)
		}
	}
	options.ExcludeResponseBody = len(answer) == 0
	if len(answer) > 0 {
		mediaType, _, err := mime.ParseMediaType(header.Get("Content-Type"))
		if err != nil {
			return err
		}
		if !strings.HasSuffix(mediaType, "json") {
			response := found.route.Operation.Responses.Status(status)
			if response == nil || response.Value.Content[mediaType] == nil {
				return fmt.Errorf("status %d has no content of type %s", status, mediaType)
			}
			options.ExcludeResponseBody = true
		}
	} else if response := found.route.Operation.Responses.Status(status); response != nil && len(response.Value.Content) > 0 {
		return errors.New("the answer has no body")
	}
	return openapi3filter.ValidateResponse(context.Background(), &openapi3filter.ResponseValidationInput{
		RequestValidationInput: request, Status: status, Header: header, Body: io.NopCloser(bytes.NewReader(answer)), Options: options,
	})
}

// The check notices what drifts.
func TestDriftIsNoticed(t *testing.T) {
	d, err := readDescription()
	if err != nil {
		t.Fatal(err)
	}
	const (
		isJSON  = "application/json"
		issued  = `{"name": "billing", "token": ""}`
		problem = `{"type": "about:blank", "title": "", "status": 404, "detail": "", "code": "not_found"}`
	)
	for _, tt := range []struct {
		name, request, body string
		status              int
		media, answer       string
		fits                bool
	}{
		{"as it should be", "POST /v1/clients", `{"name": "billing"}`, 201, isJSON, issued, true},
		{"a refusal", "GET /v1/clients/billing", "", 404, "application/problem+json", problem, true},
		{"a refused request that is not valid", "POST /v1/clients", `[]`, 400, "application/problem+json", problem, true},
		{"no body", "PUT /v1/clients/billing/grants/acme", "", 204, "", "", true},
		{"an undocumented route", "POST /v1/clients/billing/fire", "", 200, isJSON, `{}`, false},
		{"an undocumented status", "POST /v1/clients", `{"name": "billing"}`, 200, isJSON, issued, false},
		{"an undocumented refusal", "GET /v1/clients", "", 409, "application/problem+json", problem, false},
		{"an undocumented member", "POST /v1/clients", `{"name": "billing"}`, 201, isJSON, `{"name": "a", "token": "", "secret": ""}`, false},
		{"a member is missing", "POST /v1/clients", `{"name": "billing"}`, 201, isJSON, `{"name": "a"}`, false},
		{"a member is null", "POST /v1/clients", `{"name": "billing"}`, 201, isJSON, `{"name": "a", "token": null}`, false},
		{"an unknown value", "GET /v1/policy/diff?from=current&to=current", "", 200, isJSON, `{"from": {"sha256": "", "version": ""}, "to": {"sha256": "", "version": ""}, "effect": "good", "summary": "", "changes": []}`, false},
		{"no body where one is due", "POST /v1/clients", `{"name": "billing"}`, 201, isJSON, "", false},
		{"a refusal that is no problem", "GET /v1/clients/billing", "", 404, isJSON, problem, false},
		{"an undocumented member was taken", "POST /v1/clients", `{"name": "billing", "admin": true}`, 201, isJSON, issued, false},
		{"an undocumented body was taken", "PUT /v1/clients/billing/grants/acme", `{}`, 204, "", "", false},
		{"an undocumented parameter was taken", "GET /v1/clients?colour=red", "", 200, isJSON, `[]`, false},
		{"a parameter out of bounds was taken", "GET /v1/clients?limit=1000", "", 200, isJSON, `[]`, false},
		{"a parameter that is missing", "GET /v1/policy/diff?from=current", "", 200, isJSON, `{}`, false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			method, path, _ := strings.Cut(tt.request, " ")
			r := httptest.NewRequest(method, path, strings.NewReader(tt.body))
			if tt.body != "" {
				r.Header.Set("Content-Type", isJSON)
			}
			err := d.check(r, []byte(tt.body), tt.status, http.Header{"Content-Type": {tt.media}}, []byte(tt.answer))
			if (err == nil) != tt.fits {
				t.Errorf("it fits: %v (%v)", err == nil, err)
			}
		})
	}
}
