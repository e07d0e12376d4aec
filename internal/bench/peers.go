package main

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"

	"github.com/elazarl/goproxy"
)

// The ways that are compared.
const (
	direct      = "no proxy"
	nginx       = "nginx"
	goproxyLoop = "bare goproxy"
	jiragate    = "jiragate"
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

// close stops what is still running, all at once, since some take their time.
func (s *stage) close() {
	var stopping sync.WaitGroup
	for _, p := range s.started {
		stopping.Go(p.stop)
	}
	stopping.Wait()
	for _, f := range s.closers {
		f()
	}
}

// start runs a program until it is stopped, or the stage is closed, or ctx ends.
func (s *stage) start(ctx context.Context, name, dir string, environ []string, program string, args ...string) (*process, error) {
	p, err := newProcess(ctx, dir, name, environ, program, args...)
	if err != nil {
		return nil, err
	}
	if err := p.run(); err != nil {
		return nil, err
	}
	s.started = append(s.started, p)
	return p, nil
}

// newStage starts the upstream. A program that is empty is built.
func newStage(ctx context.Context, dir, program string) (*stage, error) {
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
		build := exec.CommandContext(ctx, "go", "build", "-o", s.gateway, "jiragate")
		if out, err := build.CombinedOutput(); err != nil {
			return nil, fmt.Errorf("building the gateway: %w\n%s", err, out)
		}
	}
	_, line, err := s.role(ctx, "upstream")
	if err != nil {
		return s, err
	}
	var ok bool
	if s.upstream, s.http2, ok = strings.Cut(line, " "); !ok {
		return s, fmt.Errorf("the upstream said %q", line)
	}
	return s, nil
}

// role starts this program in another role, and returns the first line that it says.
func (s *stage) role(ctx context.Context, name string) (*process, string, error) {
	p, err := newProcess(ctx, s.dir, name, os.Environ(), s.self, "-role", name, "-dir", s.dir)
	if err != nil {
		return nil, "", err
	}
	s.started = append(s.started, p)
	line, err := p.role()
	return p, line, err
}

// direct is the way without anything in between.
func (s *stage) direct(ctx context.Context) (*way, error) {
	w := newWay(direct, s.upstream, s.upstream, s.roots)
	return w, w.answers(ctx)
}

// nginx is a reverse proxy from TLS to TLS that adds one header field. It is no forward
// proxy, so it has less to do: no CONNECT and no minted certificate. Where it is not
// installed there is no way.
func (s *stage) nginx(ctx context.Context) (*way, error) {
	program, err := exec.LookPath("nginx")
	if err != nil {
		program, err = exec.LookPath("/usr/sbin/nginx") // which is in few users' PATH
	}
	if errors.Is(err, exec.ErrNotFound) || errors.Is(err, os.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	dir, err := os.MkdirTemp(s.dir, "of-nginx")
	if err != nil {
		return nil, err
	}
	address := freeAddress()
	conf := filepath.Join(dir, "nginx.conf")
	text := strings.NewReplacer("OWN", dir, "DIR", s.dir, "LISTEN", address, "UPSTREAM", s.upstream).Replace(nginxConf)
	if err := os.WriteFile(conf, []byte(text), 0o600); err != nil {
		return nil, err
	}
	p, err := s.start(ctx, "nginx", dir, os.Environ(), program, "-c", conf, "-e", filepath.Join(dir, "nginx-error.log"))
	if err != nil {
		return nil, err
	}
	w := newWay(nginx, address, s.upstream, s.roots)
	w.process = p
	return w, w.answers(ctx)
}

// nginxConf is nginx as it is recommended for this: keep-alive and session reuse on both
// sides, the upstream's certificate verified, no access log, no large answer on disk.
const nginxConf = `daemon off;
worker_processes auto;
pid OWN/nginx.pid;
events { worker_connections 16000; }
http {
  access_log off;
  client_body_temp_path OWN/body; proxy_temp_path OWN/proxy; fastcgi_temp_path OWN/f; uwsgi_temp_path OWN/u; scgi_temp_path OWN/s;
  keepalive_requests 1000000000; keepalive_timeout 600s;
  upstream jira { server UPSTREAM; keepalive 128; keepalive_requests 1000000000; }
  server {
    listen LISTEN ssl backlog=4096;
    ssl_certificate DIR/cert.pem; ssl_certificate_key DIR/key.pem;
    ssl_protocols TLSv1.3; ssl_session_cache shared:SSL:10m; ssl_session_tickets on;
    location / {
      proxy_pass https://jira; proxy_max_temp_file_size 0;
      proxy_http_version 1.1; proxy_set_header Connection "";
      proxy_set_header Authorization "Basic YmVuY2g6YSBsb25nIGVub3VnaCBwYXNzd29yZA==";
      proxy_ssl_protocols TLSv1.3; proxy_ssl_session_reuse on; proxy_ssl_verify on; proxy_ssl_trusted_certificate DIR/root.pem; proxy_ssl_name localhost;
    }
  }
}
`

// goproxy is goproxy's own interception loop with one static header field, and nothing
// else of what the gateway does.
func (s *stage) goproxy(ctx context.Context) (*way, error) {
	p, address, err := s.role(ctx, "goproxy")
	if err != nil {
		return nil, err
	}
	w := newWay(goproxyLoop, address, s.upstream, s.roots)
	w.proxy, w.process = true, p
	return w, w.answers(ctx)
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

func freeAddress() string {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "127.0.0.1:0"
	}
	defer l.Close()
	return l.Addr().String()
}
