package browser

import (
	"context"
	"errors"
	"os"
	"os/exec"
	"testing"
	"time"

	"github.com/chromedp/chromedp"
)

// RequireVariable names the environment variable that makes Chromium a must: if it is
// set (to 1, by custom), [Start] fails tests that it would skip otherwise. It is for
// CI, where a skipped test would go unnoticed.
const RequireVariable = "CI_REQUIRE_CHROMIUM"

// names are those of Chromium's program: Debian's, and that of others.
var names = [...]string{"chromium", "chromium-browser"}

// closing is how long the browser may take to end.
const closing = 20 * time.Second

// Options say which browser to start.
type Options struct {
	// AnyCertificate has the browser take every certificate for a good one.
	AnyCertificate bool
}

// Browser is a running Chromium with a profile of its own.
type Browser struct{ ctx context.Context }

// Start starts Chromium, which ends with the test. Its files are in a directory of the
// test. It asks nobody for names of hosts: only loopback addresses can be reached.
func Start(t *testing.T, o Options) *Browser {
	t.Helper()
	program, err := find()
	switch {
	case err == nil:
	case os.Getenv(RequireVariable) == "":
		t.Skipf("no Chromium here (set %s=1 to make this a failure; Debian's package is chromium): %v", RequireVariable, err)
	default:
		t.Fatalf("start Chromium (Debian's package is chromium): %v", err)
	}
	// Chromium keeps files in the temporary directory besides those of the profile.
	t.Setenv("TMPDIR", t.TempDir())
	options := append(chromedp.DefaultExecAllocatorOptions[:],
		chromedp.ExecPath(program),
		chromedp.WSURLReadTimeout(patience),
		chromedp.Flag("no-sandbox", os.Getuid() == 0), // which can't be had by root
		chromedp.Flag("no-proxy-server", true),
		chromedp.Flag("host-resolver-rules", "MAP * ~NOTFOUND, EXCLUDE 127.0.0.1"),
		chromedp.Flag("disable-component-update", true),
		chromedp.Flag("disable-domain-reliability", true),
		chromedp.Flag("no-pings", true),
		chromedp.Flag("lang", "en-US"),
	)
	if o.AnyCertificate {
		options = append(options, chromedp.IgnoreCertErrors)
	}
	allocated, free := chromedp.NewExecAllocator(context.WithoutCancel(t.Context()), options...)
	ctx, _ := chromedp.NewContext(allocated)
	t.Cleanup(func() {
		limited, cancel := context.WithTimeout(ctx, closing)
		defer cancel()
		if err := chromedp.Cancel(limited); err != nil {
			t.Errorf("end Chromium: %v", err)
		}
		free()
	})
	if err := chromedp.Do(ctx); err != nil {
		t.Fatalf("start Chromium: %v", err)
	}
	return &Browser{ctx}
}

func find() (string, error) {
	var all []error
	for _, name := range names {
		path, err := exec.LookPath(name)
		if err == nil {
			return path, nil
		}
		all = append(all, err)
	}
	return "", errors.Join(all...)
}
