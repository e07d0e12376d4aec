package main

import (
	"crypto/tls"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"github.com/elazarl/goproxy"
)

// stage is all that is started for a run.
type stage struct {
	dir      string
	self     string // this program
	gateway  string // the program that is measured
	ca       *authority
	roots    *x509.CertPool
	upstream string // host:port, HTTP/1.1
	http2    string // host:port, HTTP/2
	started  []*process
	closers  []func()
}

func (s *stage) close() {
	for _, p := range s.started {
		p.stop()
	}
	for _, f := range s.closers {
		f()
	}
}

// newStage starts the upstream. A program that is empty is built.
func newStage(dir, program string) (*stage, error) {
	self, err := os.Executable()
	if err != nil {
		return nil, err
	}
	s := &stage{dir: dir, self: self, gateway: program, roots: x509.NewCertPool()}
	if s.ca, err = newAuthority(dir); err != nil {
		return nil, err
	}
	s.roots.AddCert(s.ca.root)
	if program == "" {
		s.gateway = filepath.Join(dir, "jiragate")
		build := exec.Command("go", "build", "-trimpath", "-o", s.gateway, "jiragate")
		build.Stderr = os.Stderr
		if err := build.Run(); err != nil {
			return nil, fmt.Errorf("building the gateway: %w", err)
		}
	}
	line, err := s.role("upstream")
	if err != nil {
		return nil, err
	}
	var ok bool
	if s.upstream, s.http2, ok = strings.Cut(line, " "); !ok {
		return nil, fmt.Errorf("the upstream said %q", line)
	}
	return s, nil
}

// role starts this program in another role.
func (s *stage) role(name string, args ...string) (string, error) {
	p, err := start(s.dir, name, os.Environ(), s.self, append([]string{"-role", name, "-dir", s.dir}, args...)...)
	if err != nil {
		return "", err
	}
	s.started = append(s.started, p)
	return p.role()
}

func (s *stage) last() *process { return s.started[len(s.started)-1] }

// direct is the way without anything in between.
func (s *stage) direct() *way { return newWay("no proxy", s.upstream, s.upstream, s.roots) }

// nginx is a reverse proxy from TLS to TLS that adds one header field. It is no forward
// proxy, so it has less to do: no CONNECT and no minted certificate.
func (s *stage) nginx() (*way, error) {
	program, err := exec.LookPath("nginx")
	if err != nil {
		return nil, err
	}
	address := freeAddress()
	conf := filepath.Join(s.dir, "nginx.conf")
	text := strings.NewReplacer("DIR", s.dir, "LISTEN", address, "UPSTREAM", s.upstream).Replace(nginxConf)
	if err := os.WriteFile(conf, []byte(text), 0o600); err != nil {
		return nil, err
	}
	p, err := start(s.dir, "nginx", os.Environ(), program, "-c", conf, "-e", filepath.Join(s.dir, "nginx-error.log"))
	if err != nil {
		return nil, err
	}
	if err := p.run(); err != nil {
		return nil, err
	}
	s.started = append(s.started, p)
	w := newWay("nginx", address, s.upstream, s.roots)
	w.process = p
	return w, answers(w)
}

// nginxConf is nginx as it is recommended for this: keep-alive and session reuse on both
// sides, the upstream's certificate verified, no access log.
const nginxConf = `daemon off;
worker_processes auto;
worker_rlimit_nofile 65536;
pid DIR/nginx.pid;
events { worker_connections 20000; }
http {
  access_log off;
  client_body_temp_path DIR/nginx-body; proxy_temp_path DIR/nginx-proxy; fastcgi_temp_path DIR/nginx-f; uwsgi_temp_path DIR/nginx-u; scgi_temp_path DIR/nginx-s;
  keepalive_requests 1000000000; keepalive_timeout 600s;
  upstream jira { server UPSTREAM; keepalive 128; keepalive_requests 1000000000; }
  server {
    listen LISTEN ssl backlog=4096;
    ssl_certificate DIR/cert.pem; ssl_certificate_key DIR/key.pem;
    ssl_protocols TLSv1.3; ssl_session_cache shared:SSL:10m; ssl_session_tickets on;
    location / {
      proxy_pass https://jira;
      proxy_http_version 1.1; proxy_set_header Connection "";
      proxy_set_header Authorization "Basic YmVuY2g6YSBsb25nIGVub3VnaCBwYXNzd29yZA==";
      proxy_ssl_protocols TLSv1.3; proxy_ssl_session_reuse on; proxy_ssl_verify on; proxy_ssl_trusted_certificate DIR/root.pem; proxy_ssl_name localhost;
    }
  }
}
`

// goproxy is goproxy's own interception loop with one static header field, and nothing
// else of what the gateway does.
func (s *stage) goproxy() (*way, error) {
	address, err := s.role("goproxy")
	if err != nil {
		return nil, err
	}
	w := newWay("bare goproxy", address, s.upstream, s.roots)
	w.proxy, w.process = true, s.last()
	return w, answers(w)
}

// serveGoproxy is the role of that process.
func serveGoproxy(dir string) error {
	cert, err := tls.LoadX509KeyPair(filepath.Join(dir, "root.pem"), filepath.Join(dir, "root-key.pem"))
	if err != nil {
		return err
	}
	roots, err := poolOf(filepath.Join(dir, "root.pem"))
	if err != nil {
		return err
	}
	proxy := goproxy.NewProxyHttpServer()
	proxy.CertStore = &leaves{}
	proxy.Tr = &http.Transport{
		TLSClientConfig:     &tls.Config{RootCAs: roots, ClientSessionCache: tls.NewLRUClientSessionCache(64)},
		MaxIdleConnsPerHost: 128, DisableCompression: true,
	}
	mitm := &goproxy.ConnectAction{Action: goproxy.ConnectMitm, TLSConfig: goproxy.TLSConfigFromCA(&cert)}
	proxy.OnRequest().HandleConnectFunc(func(host string, _ *goproxy.ProxyCtx) (*goproxy.ConnectAction, string) { return mitm, host })
	proxy.OnRequest().DoFunc(func(r *http.Request, _ *goproxy.ProxyCtx) (*http.Request, *http.Response) {
		r.Header.Set("Authorization", "Basic YmVuY2g6YSBsb25nIGVub3VnaCBwYXNzd29yZA==")
		return r, nil
	})
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	go func() { _ = http.Serve(l, proxy) }()
	fmt.Println(l.Addr())
	_, err = io.Copy(io.Discard, os.Stdin)
	return err
}

// jiragate is the gateway with identity, policy, credential, pinned egress, records,
// metrics and traces of one call in a hundred.
func (s *stage) jiragate(name, upstream string, extra ...string) (*way, error) {
	collector := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { _, _ = io.Copy(io.Discard, r.Body) }))
	s.closers = append(s.closers, collector.Close)
	dir := filepath.Join(s.dir, "of-"+name)
	if err := os.Mkdir(dir, 0o700); err != nil {
		return nil, err
	}
	proxy, admin := freeAddress(), freeAddress()
	environ := append([]string{
		"HOME=" + dir, "PATH=" + os.Getenv("PATH"), "TMPDIR=" + dir,
		"JIRAGATE_DATA_DIR=" + filepath.Join(dir, "data"),
		"JIRAGATE_PROXY_LISTEN=" + proxy, "JIRAGATE_ADMIN_LISTEN=" + admin, "JIRAGATE_LOG_LEVEL=warn",
		"JIRAGATE_EGRESS=52.54.159.237=127.0.0.2", "JIRAGATE_EGRESS_ALLOW_PRIVATE=127.0.0.0/8",
		"JIRAGATE_UPSTREAM_CA_FILE=" + filepath.Join(s.dir, "root.pem"),
		"JIRAGATE_AUDIT_SYNC=batch",
		"OTEL_TRACES_EXPORTER=otlp", "OTEL_LOGS_EXPORTER=none", "OTEL_METRICS_EXPORTER=prometheus", "OTEL_EXPORTER_OTLP_PROTOCOL=http/protobuf",
		"OTEL_EXPORTER_OTLP_ENDPOINT=" + collector.URL,
		"OTEL_TRACES_SAMPLER=parentbased_traceidratio", "OTEL_TRACES_SAMPLER_ARG=0.01",
	}, extra...)
	p, err := start(dir, name, environ, s.gateway, "serve")
	if err != nil {
		return nil, err
	}
	if err := p.run(); err != nil {
		return nil, err
	}
	s.started = append(s.started, p)
	if err := ready(p, "http://"+admin+"/readyz"); err != nil {
		return nil, err
	}
	run := func(input string, args ...string) ([]byte, error) {
		c := exec.Command(s.gateway, args...)
		c.Dir, c.Env, c.Stdin, c.Stderr = dir, environ, strings.NewReader(input), os.Stderr
		return c.Output()
	}
	if _, err := run("a long enough password", "connection", "add", "bench", "--edition", "datacenter", "--base-url", "https://"+upstream,
		"--auth", "basic", "--username", "bench", "--secret-file", "-"); err != nil {
		return nil, fmt.Errorf("adding the connection: %w", err)
	}
	out, err := run("", "client", "add", "bench", "--connection", "bench", "--output", "json")
	if err != nil {
		return nil, fmt.Errorf("adding the client: %w", err)
	}
	var client struct{ Token string }
	if err := json.Unmarshal(out, &client); err != nil {
		return nil, err
	}
	roots, err := poolOf(filepath.Join(dir, "data", "ca.pem"))
	if err != nil {
		return nil, err
	}
	w := newWay("jiragate", proxy, upstream, roots)
	w.proxy, w.process = true, p
	w.auth = "Basic " + base64.StdEncoding.EncodeToString([]byte("bench:"+client.Token))
	return w, answers(w)
}

// ready waits until a program answers with 200.
func ready(p *process, url string) error {
	client := &http.Client{Timeout: patience, Transport: &http.Transport{DisableKeepAlives: true}}
	for end := time.Now().Add(patience); ; time.Sleep(20 * time.Millisecond) {
		response, err := client.Get(url)
		if err == nil {
			response.Body.Close()
			if response.StatusCode == http.StatusOK {
				return nil
			}
			err = errors.New(response.Status)
		}
		select {
		case <-p.exited:
			return fmt.Errorf("%s has ended: see %s", p.name, p.command.Dir)
		default:
		}
		if time.Now().After(end) {
			return fmt.Errorf("%s is not ready: %w", p.name, err)
		}
	}
}

// answers waits until a way leads to the upstream.
func answers(w *way) error {
	for end := time.Now().Add(patience); ; time.Sleep(20 * time.Millisecond) {
		c, err := w.dial()
		if err == nil {
			err = newCaller(c).call(w.get(pathSmall))
			c.Close()
		}
		if err == nil || time.Now().After(end) {
			return err
		}
	}
}

func freeAddress() string {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "127.0.0.1:0"
	}
	defer l.Close()
	return l.Addr().String()
}
