package admin

import (
	"bufio"
	"encoding/json"
	"errors"
	"io"
	"mime"
	"net/http"
	"strconv"
	"strings"
)

// maxBody bounds a request body, in bytes. The largest real one is a
// connection with a bundle of CA certificates.
const maxBody = 512 << 10

// decode reads the one JSON object that r must hold into v: application/json,
// at most maxBody bytes, no unknown members, nothing after it. Its errors
// never quote a value, since the value may be a credential.
func decode(w http.ResponseWriter, r *http.Request, v any) error {
	mediaType, _, err := mime.ParseMediaType(r.Header.Get("Content-Type"))
	if err != nil || mediaType != "application/json" {
		return refuse(http.StatusUnsupportedMediaType, CodeMediaType, "the body must be application/json")
	}
	dec := json.NewDecoder(http.MaxBytesReader(w, r.Body, maxBody))
	dec.DisallowUnknownFields()
	if err := dec.Decode(v); err != nil {
		return decodeProblem(err)
	}
	if _, err := dec.Token(); !errors.Is(err, io.EOF) {
		if tooLarge(err) {
			return decodeProblem(err)
		}
		return invalid("the body must be one JSON object and nothing after it")
	}
	return nil
}

// decodeOptional is decode for a request that may come without a body, which leaves v as it is.
// One that is sent in chunks has no length: there, only reading tells whether it is empty.
func decodeOptional(w http.ResponseWriter, r *http.Request, v any) error {
	if r.ContentLength == 0 {
		return nil
	}
	body := bufio.NewReader(r.Body)
	if _, err := body.Peek(1); errors.Is(err, io.EOF) {
		return nil
	}
	r.Body = struct {
		io.Reader
		io.Closer
	}{body, r.Body}
	return decode(w, r, v)
}

func decodeProblem(err error) error {
	var wrongType *json.UnmarshalTypeError
	switch {
	case tooLarge(err):
		return refuse(http.StatusRequestEntityTooLarge, CodeTooLarge, "the body is larger than %d bytes", maxBody)
	case errors.As(err, &wrongType):
		return invalid("member %q of the body has the wrong type", wrongType.Field)
	}
	if _, quoted, found := strings.Cut(err.Error(), "json: unknown field "); found {
		name, err := strconv.Unquote(quoted)
		if err != nil {
			name = quoted
		}
		return invalid("the body has an unknown member %s", shortQuoted(name)) // it may be as long as the body
	}
	return invalid("the body is not a JSON object")
}

func tooLarge(err error) bool {
	var e *http.MaxBytesError
	return errors.As(err, &e)
}
