package jirasim_test

import (
	"errors"
	"net"
	"slices"
	"testing"

	"jiragate/internal/jirasim"
)

// The origins are where Options.Listen puts them.
func TestListenElsewhere(t *testing.T) {
	var asked []string
	sim, client := start(t, jirasim.Options{
		CloudListen: "104.192.141.1:443", AuthListen: "104.192.142.1:443", DataCenterListen: "185.166.140.1:443",
		Listen: func(network, address string) (net.Listener, error) {
			asked = append(asked, address)
			return net.Listen(network, "127.0.0.1:0")
		},
	})
	if want := []string{"104.192.141.1:443", "104.192.142.1:443", "185.166.140.1:443"}; !slices.Equal(asked, want) {
		t.Errorf("asked to listen at %q, want %q", asked, want)
	}
	resp, err := client.Get(sim.DataCenterURL() + "/rest/api/2/myself")
	if err != nil {
		t.Fatal(err)
	}
	resp.Body.Close()
	if n := sim.Connections(jirasim.DataCenter); n != 1 {
		t.Errorf("%d connections, want 1", n)
	}

	taken := errors.New("taken")
	if _, err := jirasim.Start(jirasim.Options{Listen: func(string, string) (net.Listener, error) { return nil, taken }}); !errors.Is(err, taken) {
		t.Errorf("error %v, want %v", err, taken)
	}
}
