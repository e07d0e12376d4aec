package keyset

import (
	"time"

	"google.golang.org/api/option"
)

// ForTest gives the options what only tests set: how long a service may take, and
// how Google's client finds it.
func (o Options) ForTest(timeout time.Duration, google ...option.ClientOption) Options {
	o.timeout, o.google = timeout, google
	return o
}
