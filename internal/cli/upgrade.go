package cli

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"os"
	"os/exec"
	"slices"
	"strings"
	"sync"
	"time"

	"jiragate/gateway"
	"jiragate/gateway/admin"
	"jiragate/internal/handover"
)

const (
	// http2Patience is how long HTTP/2 connections get to end while everything else
	// goes on.
	http2Patience = 10 * time.Second
	// yieldPatience is how long calls get to end while others wait. Then they go on,
	// and the handover is tried again later, a few times.
	yieldPatience = 10 * time.Second
	yieldAgain    = 15 * time.Second
	yieldAttempts = 4
	// preparePatience is how long the new program may take to read its settings, and
	// to serve once it may.
	preparePatience = 30 * time.Second
	servePatience   = 2 * time.Minute
	endPatience     = 5 * time.Second
	// retirePatience is how long the rest of the old program may take to end: what
	// administrators have asked for, and telemetry.
	retirePatience = 10 * time.Second
	// lingerPatience is how long the old program passes bytes of connections on that
	// it took. An idle one ends before.
	lingerPatience = 10 * time.Minute
)

// errHandedOver ends a gateway whose successor serves.
var errHandedOver = errors.New("handed over")

// succession hands a running gateway over to a process with the program that is on
// disk now, by the same command and environment.
type succession struct {
	program string
	args    []string // without the program's own name
	environ []string
	drain   time.Duration
	options StartOptions
	log     *slog.Logger
	next    admin.Prepared // once it is
}

func (a *app) succession(o StartOptions) *succession {
	return &succession{program: a.program, args: a.args, environ: a.environ, drain: time.Duration(a.config.DrainTimeout), options: o, log: o.Logger}
}

// attempt returns errHandedOver once the successor serves. With any other error
// the gateway goes on: as the server that is returned, which may be another one, or nil
// if it can't. ask is told once the successor is prepared, or can't be.
func (s *succession) attempt(ctx context.Context, server *Server, ask *upgradeAsk) (*Server, error) {
	server, err := s.handOver(ctx, server, ask)
	if errors.Is(err, errHandedOver) {
		return server, err
	}
	ask.tell(admin.Prepared{}, err)
	s.options.upgraded.Store(&admin.Upgrade{Time: time.Now(), PID: s.next.PID, Version: s.next.Version, Error: strings.ReplaceAll(err.Error(), "\n", "; ")})
	if server != nil {
		s.log.Error("no handover to a new program", "error", err, "hint", "mend what it says, then try again (jiragate upgrade, or SIGUSR2); meanwhile nothing has changed")
	}
	return server, err
}

func (s *succession) handOver(ctx context.Context, server *Server, ask *upgradeAsk) (*Server, error) {
	if os.Getpid() == 1 {
		return server, hint(errors.New("this is the first process of a container, which ends with it: it can't hand over to another"),
			"replace the container; docs/operators.md tells how without losing calls")
	}
	if server.adopted != nil {
		select { // what a predecessor is passing on would be lost
		case <-server.adopted:
		case <-ctx.Done():
			return server, ctx.Err()
		}
	}
	names, files, err := server.socketFiles()
	if err != nil {
		return server, err
	}
	defer handover.CloseAll(files)
	next, err := s.prepare(names, files)
	if err != nil {
		return server, err
	}
	ask.tell(s.next, nil)
	held, err := server.yield(ctx, files[slices.Index(names, proxySocket)])
	if err != nil {
		_ = next.SetDeadline(time.Now().Add(endPatience))
		_ = next.Send(handover.Message{Step: handover.Withdrawn, Error: strings.ReplaceAll(err.Error(), "\n", "; ")})
		_ = next.End(endPatience) // it says so itself
		return server, fmt.Errorf("the gateway goes on: %w", err)
	}
	if err := server.retire(ctx); err != nil {
		s.log.Warn("not everything ended well before the handover", "error", err, "hint", "look at what the error is about; calls are not affected")
	}
	err = released(next)
	pause := time.Since(server.engine.gateway.Yielded())
	var last sync.WaitGroup // that this process has to do
	last.Go(func() { server.flush(ctx) })
	if err != nil {
		s.log.Error("the new program can't serve; this one takes up again", "error", err, "hint", "mend what it says; clients notice nothing but the pause")
		again, startErr := s.takeUp(ctx, server.config, names, files, held)
		if startErr != nil {
			return nil, errors.Join(err, fmt.Errorf("taking up again: %w", startErr))
		}
		return again, fmt.Errorf("the new program could not serve, so the old one does again: %w", err)
	}
	s.log.Info("handed over", "pid", next.PID(), "connections", len(held), "pause", pause.Round(time.Millisecond).String())
	notifyManager(fmt.Sprintf("MAINPID=%d", next.PID()))
	s.passOn(ctx, next, held, pause, &last)
	return nil, errHandedOver
}

// prepare starts the successor. When it returns, that could serve as far as can be
// told without the store.
func (s *succession) prepare(names []string, files []*os.File) (*handover.Successor, error) {
	// The name may lead to another file than at start: to the new program.
	path, err := exec.LookPath(s.program)
	if err != nil {
		return nil, fmt.Errorf("find the new program: %w", err)
	}
	next, err := handover.Start(path, handover.Arguments(s.args), s.environ)
	if err != nil {
		return nil, err
	}
	_ = next.SetDeadline(time.Now().Add(preparePatience))
	err = next.Send(handover.Message{Step: handover.Sockets, Names: names}, files...)
	var version string
	if err == nil {
		version, err = expect(next, handover.Prepared)
	}
	if err != nil {
		return nil, fmt.Errorf("%s can't take over: %w", path, errors.Join(err, ended(next)))
	}
	s.next = admin.Prepared{PID: next.PID(), Version: version}
	s.log.Info("the new program is prepared to take over", "program", path, "pid", next.PID(), "version", version)
	return next, nil
}

// released lets the successor begin, and waits until it serves.
func released(next *handover.Successor) error {
	_ = next.SetDeadline(time.Now().Add(servePatience))
	err := next.Send(handover.Message{Step: handover.Released})
	if err == nil {
		_, err = expect(next, handover.Serving)
	}
	if err != nil {
		return errors.Join(err, ended(next))
	}
	return nil
}

// expect waits for a step. It fails with what the successor says, if it can.
func expect(next *handover.Successor, step handover.Step) (version string, err error) {
	m, files, err := next.Receive()
	handover.CloseAll(files)
	switch {
	case err != nil:
		return "", err
	case m.Step == handover.Failed:
		return "", errors.New(m.Error)
	case m.Step != step:
		return "", fmt.Errorf("it said %q in place of %q", m.Step, step)
	}
	return m.Version, nil
}

// ended ends a successor that failed. If it had ended by itself, its messages say why.
func ended(next *handover.Successor) error {
	if err := next.End(endPatience); err != nil {
		return fmt.Errorf("its process ended (%w): see its messages", err)
	}
	return nil
}

// takeUp serves again in this process.
func (s *succession) takeUp(ctx context.Context, c Config, names []string, files []*os.File, held []*gateway.Held) (*Server, error) {
	given, err := socketsOf(names, files)
	if err != nil {
		return nil, err
	}
	if err := s.restoreKeyset(c); err != nil {
		return nil, errors.Join(err, given.close())
	}
	o := s.options
	o.sockets = given
	server, err := Start(ctx, c, o)
	if err != nil {
		return nil, errors.Join(err, given.close())
	}
	for _, h := range held {
		server.adopt(h.Provenance(), h.Conn())
	}
	return server, nil
}

// restoreKeyset puts the variable that holds the keyset into the environment again, which
// it left when it was read.
func (s *succession) restoreKeyset(c Config) error {
	name, inVariable := strings.CutPrefix(c.keyURI(), "env:")
	if !inVariable {
		return nil
	}
	for _, variable := range s.environ {
		if value, ok := strings.CutPrefix(variable, name+"="); ok {
			return os.Setenv(name, value)
		}
	}
	return nil // the start says that it is missing
}

// passOn gives the successor the connections, and passes their bytes on until
// the last has ended, with whatever else is last.
func (s *succession) passOn(ctx context.Context, next *handover.Successor, held []*gateway.Held, pause time.Duration, last *sync.WaitGroup) {
	_ = next.SetDeadline(time.Now().Add(servePatience))
	for i, h := range held {
		if err := send(next, h, last); err != nil {
			s.log.Warn("idle connections of clients are closed, since they can't be handed over", "connections", len(held)-i, "error", err, "hint", "nothing: clients open others; if descriptors were lacking, raise LimitNOFILE")
			for _, h := range held[i:] {
				_ = h.Close()
			}
			break
		}
	}
	about, err := json.Marshal(admin.Upgrade{PauseMS: float64(pause.Microseconds()) / 1000, Connections: len(held)})
	if err == nil {
		err = next.Send(handover.Message{Step: handover.Done, About: about})
	}
	if err != nil {
		s.log.Warn("the successor was not told of the end of the handover", "error", err, "hint", "nothing, if it serves: see jiragate status")
	}
	_ = next.Close()
	ended := make(chan struct{})
	go func() {
		last.Wait()
		close(ended)
	}()
	select {
	case <-ended:
		return
	case <-ctx.Done():
	case <-time.After(lingerPatience):
	}
	// The successor may have been told to end, too, and finishes calls by these.
	select {
	case <-ended:
	case <-time.After(s.drain):
	}
	// What is left is closed with the process.
}

func send(next *handover.Successor, h *gateway.Held, relays *sync.WaitGroup) error {
	about, err := json.Marshal(h.Provenance())
	if err != nil {
		return err
	}
	near, far, err := handover.Pair()
	if err != nil {
		return err
	}
	defer far.Close()
	if err := next.Send(handover.Message{Step: handover.Connection, About: about}, far); err != nil {
		return errors.Join(err, near.Close())
	}
	relays.Go(func() { h.Relay(near) })
	return nil
}

// yield ends serving at the proxy listener, without cutting a call, or goes on. The
// listener's socket must be open in another place, proxy.
func (s *Server) yield(ctx context.Context, proxy *os.File) ([]*gateway.Held, error) {
	for attempt := 1; ; attempt++ {
		patience, cancel := context.WithTimeout(ctx, http2Patience+yieldPatience)
		held, err := s.engine.gateway.Yield(patience, http2Patience)
		cancel()
		if err == nil {
			return held, nil
		}
		s.engine.gateway.Resume(held)
		l, lost := net.FileListener(proxy)
		if lost != nil {
			s.failed <- fmt.Errorf("the proxy listener was lost: %w", lost)
			return nil, errors.Join(err, lost)
		}
		s.proxy = l // the old one can't be handed over again
		s.serve("proxy", func() error { return s.engine.gateway.Serve(l) })
		if attempt == yieldAttempts || ctx.Err() != nil {
			return nil, err
		}
		s.log.Info("calls take too long to hand over now; trying again", "error", err, "in", yieldAgain.String())
		select {
		case <-ctx.Done():
		case <-time.After(yieldAgain):
		}
	}
}

// retire closes everything but the sockets, which others have, too.
func (s *Server) retire(ctx context.Context) error {
	s.handedOver = true
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), retirePatience)
	defer cancel()
	return s.Close(ctx)
}

// flush sends the telemetry that is left, which must not be while clients wait.
func (s *Server) flush(ctx context.Context) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), retirePatience)
	defer cancel()
	if err := s.engine.flush(ctx); err != nil {
		s.log.Warn("not all telemetry was sent before the handover", "error", err, "hint", "see whether the collector answers; calls are not affected")
	}
}

// adopt serves a connection that another server has had.
func (s *Server) adopt(p gateway.Provenance, conn net.Conn) {
	if err := s.engine.gateway.Adopt(p, conn); err != nil {
		s.log.Info("a connection was not taken over; its client has to open another", "reason", err)
	}
}
