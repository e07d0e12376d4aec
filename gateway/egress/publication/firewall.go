package publication

import (
	"bytes"
	"fmt"
	"strings"
)

// port is where Jira listens, as far as is known here: HTTPS.
const port = 443

// nftables writes two sets and a chain in the table "inet filter", which loading
// adds to. The chain has no hook, so loading changes no traffic until the
// customer's own chain jumps to it: a table of its own would not do, since a
// packet that one table accepts is still dropped by another. A file is loaded as
// one transaction (nft(8), "-f"), so what an earlier file listed is replaced
// without a moment in between.
func (c *content) nftables(b *bytes.Buffer) error {
	name := "jiragate_" + strings.ReplaceAll(c.Region, "-", "_")
	c.heading(b,
		"Check with  nft -c -f egress.nft,  load with  nft -f egress.nft.  Loading it again, or a",
		"newer one, replaces what was listed. If your table is not \"inet filter\", change that. The",
		"chain does nothing by itself: jump to it once from the chain that filters what goes to Jira:",
		"",
		fmt.Sprintf("  nft insert rule inet filter input tcp dport %d jump %s", port, name),
		"",
		fmt.Sprintf("If Jira listens on another port, change %d.", port))
	sets := []struct {
		family          family
		name, kind, key string
	}{
		{ipv4, name + "_v4", "ipv4_addr", "ip saddr"},
		{ipv6, name + "_v6", "ipv6_addr", "ip6 saddr"},
	}
	b.WriteString("\ntable inet filter {\n")
	for _, s := range sets {
		fmt.Fprintf(b, "\tset %s { type %s; }\n", s.name, s.kind)
	}
	fmt.Fprintf(b, "\tchain %s { }\n}\n\n", name)
	fmt.Fprintf(b, "flush chain inet filter %s\n", name)
	for _, s := range sets {
		fmt.Fprintf(b, "flush set inet filter %s\n", s.name)
	}
	b.WriteString("\ntable inet filter {\n")
	for _, s := range sets {
		fmt.Fprintf(b, "\tset %s {\n\t\ttype %s\n", s.name, s.kind)
		if list := c.family(s.family); len(list) > 0 { // an empty list of elements is a syntax error
			b.WriteString("\t\telements = {\n")
			for _, a := range list {
				fmt.Fprintf(b, "\t\t\t%s, # %s\n", a.Address, a.remark())
			}
			b.WriteString("\t\t}\n")
		}
		b.WriteString("\t}\n\n")
	}
	fmt.Fprintf(b, "\tchain %s {\n", name)
	for _, s := range sets {
		fmt.Fprintf(b, "\t\t%s @%s tcp dport %d accept\n", s.key, s.name, port)
	}
	b.WriteString("\t}\n}\n")
	return nil
}

// iptables writes commands that fill a chain of its own, IPv4 first, so that a
// machine without IPv6 fails at what it lacks and not before. -w waits for other
// programs that change the tables.
func (c *content) iptables(b *bytes.Buffer) error {
	chain := "JIRAGATE-" + strings.ToUpper(c.Region) // names have at most 28 characters
	c.heading(b,
		"Run with  sh egress-iptables.sh.  Running it again, or a newer one, replaces what was",
		"listed; new connections are not accepted by the chain in the moment between. The chain",
		"does nothing by itself: jump to it once from the chain that filters what goes to Jira:",
		"",
		fmt.Sprintf("  iptables -w -I INPUT -p tcp --dport %d -j %s", port, chain),
		fmt.Sprintf("  ip6tables -w -I INPUT -p tcp --dport %d -j %s", port, chain),
		"",
		fmt.Sprintf("If Jira listens on another port, change %d.", port))
	b.WriteString("\nset -eu\n")
	for _, t := range []struct {
		command string
		family  family
	}{{"iptables", ipv4}, {"ip6tables", ipv6}} {
		list := c.family(t.family)
		if len(list) == 0 {
			fmt.Fprintf(b, "\n# No IPv%d address is published; what an earlier file listed is taken back.\n", t.family)
			fmt.Fprintf(b, "%s -w -F %s 2>/dev/null || true\n", t.command, chain)
			continue
		}
		fmt.Fprintf(b, "\n%s -w -N %s 2>/dev/null || %s -w -F %s\n", t.command, chain, t.command, chain)
		for _, a := range list {
			fmt.Fprintf(b, "%s -w -A %s -s %s -p tcp --dport %d -j ACCEPT # %s\n", t.command, chain, a.prefix(), port, a.remark())
		}
	}
	return nil
}

// nginx writes directives of ngx_http_access_module. Without an address "deny all"
// stays: whoever includes the file has closed a place to all but those listed.
func (c *content) nginx(b *bytes.Buffer) error {
	c.heading(b,
		"Include it in a server or location that nobody else has to reach: it shuts out every other",
		"address. Behind a load balancer, nginx sees the balancer's address unless real_ip_header and",
		"set_real_ip_from say where the client's is.")
	b.WriteString("\n")
	for _, a := range c.Listed {
		fmt.Fprintf(b, "allow %s; # %s\n", a.Address, a.remark())
	}
	b.WriteString("deny all;\n")
	return nil
}
