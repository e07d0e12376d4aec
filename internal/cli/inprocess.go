package cli

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"sync"
)

// inProcess is a RoundTripper that calls a handler in this process. The answer
// streams: RoundTrip returns once the status is known.
type inProcess struct{ handler http.Handler }

func (t inProcess) RoundTrip(r *http.Request) (*http.Response, error) {
	in := r.Clone(r.Context())
	if in.Body == nil {
		in.Body = http.NoBody
	}
	in.RequestURI = in.URL.RequestURI()
	if in.Host == "" {
		in.Host = in.URL.Host
	}
	body, pipe := io.Pipe()
	w := &answer{
		pipe:    pipe,
		request: r,
		header:  http.Header{},
		ready:   make(chan *http.Response, 1),
		reader:  body,
	}
	go w.run(t.handler, in)
	select {
	case resp := <-w.ready:
		return resp, nil
	case <-r.Context().Done():
		_ = body.CloseWithError(r.Context().Err()) // never fails
		return nil, r.Context().Err()
	}
}

// answer is the ResponseWriter of inProcess.
type answer struct {
	pipe    *io.PipeWriter
	reader  *io.PipeReader
	request *http.Request
	header  http.Header
	once    sync.Once
	ready   chan *http.Response
}

// errAborted is what a reader gets of an answer that its handler cut short.
var errAborted = errors.New("the answer was cut short")

func (w *answer) run(h http.Handler, r *http.Request) {
	defer func() {
		var err error
		switch v := recover(); v {
		case nil:
			w.WriteHeader(http.StatusOK)
		case http.ErrAbortHandler:
			w.WriteHeader(http.StatusInternalServerError)
			err = errAborted
		default:
			panic(v) // a bug: the API recovers from its own
		}
		_ = w.pipe.CloseWithError(err) // never fails
	}()
	h.ServeHTTP(w, r)
}

func (w *answer) Header() http.Header { return w.header }

func (w *answer) WriteHeader(status int) {
	w.once.Do(func() {
		w.ready <- &http.Response{
			Status:        fmt.Sprintf("%d %s", status, http.StatusText(status)),
			StatusCode:    status,
			Proto:         "HTTP/1.1",
			ProtoMajor:    1,
			ProtoMinor:    1,
			Header:        w.header.Clone(),
			Body:          w.reader,
			ContentLength: -1,
			Request:       w.request,
		}
	})
}

func (w *answer) Write(p []byte) (int, error) {
	w.WriteHeader(http.StatusOK)
	return w.pipe.Write(p)
}
