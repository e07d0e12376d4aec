package admin

import (
	_ "embed"
	"net/http"
)

// descriptionPath is where the API tells what it can do. That is no secret.
const descriptionPath = "/v1/openapi.json"

// description is the OpenAPI document (version 3.0.3) of the API. It is made of the
// routes, of the Go types, and of what the tests of this package say about each:
//
//	go test ./gateway/admin -run TestDescription$ -update
//
//go:embed openapi.json
var description []byte

func (a *API) describe(w http.ResponseWriter, _ *http.Request) error {
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Cache-Control", "no-cache") // another version of the gateway may have another
	_, _ = w.Write(description)                 // a client that has gone cannot be told anything more
	return nil
}
