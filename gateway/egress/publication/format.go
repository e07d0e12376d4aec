package publication

import (
	"bytes"
	"crypto/sha256"
	"fmt"
	"io"
	"slices"
	"strings"
)

// Names of the files that stand for a whole publication.
const (
	// ChecksumsName is the file of the others' checksums, the text to sign.
	ChecksumsName = "SHA256SUMS"
	// SignedName is where the page tells readers to look for that text as a signed
	// note (c2sp.org/signed-note). Whoever signs it writes that file.
	SignedName = "SHA256SUMS.note"
)

const checksumsAbout = "The checksums of all these files."

// format is a way to write a document.
type format struct {
	Name    string
	File    string
	About   string // what it is for, on the page
	Command string // how to load it, where one command does
	write   func(*content, *bytes.Buffer) error
}

// formats lists the formats in the order in which they are shown.
func formats() []format {
	return []format{
		{"html", "index.html", "This page.", "", (*content).html},
		{"json", "egress.json", "Everything, for programs. Readers of AWS's ip-ranges.json find the same names.", "", (*content).json},
		{"csv", "egress.csv", "Spreadsheets: one address a row.", "", (*content).csv},
		{"txt", "egress.txt", "Anything else: one address a line; comments begin with #.", "", (*content).txt},
		{"nftables", "egress.nft", "Linux: two sets, and a chain to jump to.", "nft -f egress.nft", (*content).nftables},
		{"iptables", "egress-iptables.sh", "Linux: a chain to jump to, in iptables and ip6tables.", "sh egress-iptables.sh", (*content).iptables},
		{"nginx", "egress-nginx.conf", "nginx: shuts out every other address.", "include egress-nginx.conf;", (*content).nginx},
		{"aws-security-group", "egress-aws-security-group.json", "AWS: ingress rules of a security group.",
			"aws ec2 authorize-security-group-ingress --group-id ID --ip-permissions file://egress-aws-security-group.json", (*content).awsSecurityGroup},
		{"cloudflare", "egress-cloudflare.json", "Cloudflare: replaces the items of an IP list, as the body of", "PUT /accounts/ID/rules/lists/ID/items", (*content).cloudflare},
		{"atlassian-allowlist", "egress-atlassian-allowlist.txt", "Jira Cloud: to paste at admin.atlassian.com, Security, IP allowlisting. " +
			"Atlassian documents IPv4 there; leave IPv6 lines out if they are refused.", "", (*content).atlassian},
	}
}

// Formats lists the formats that [Document.Write] writes.
func Formats() []string {
	var names []string
	for _, f := range formats() {
		names = append(names, f.Name)
	}
	return names
}

// FileName is the name of the file that holds the format, e.g. "egress.json"; ""
// where there is no such format.
func FileName(name string) string {
	f, _ := formatNamed(name)
	return f.File
}

func formatNamed(name string) (format, error) {
	all := formats()
	if i := slices.IndexFunc(all, func(f format) bool { return f.Name == name }); i >= 0 {
		return all[i], nil
	}
	return format{}, fmt.Errorf("the format %q is unknown: use %s", clip(name), strings.Join(Formats(), ", "))
}

// Write writes the document in one of [Formats]. Errors are about the format, a
// field of the document that cannot be published, or from w, to which nothing was
// written in the first two cases.
func (d *Document) Write(w io.Writer, name string) error {
	f, err := formatNamed(name)
	if err != nil {
		return fmt.Errorf("publication of egress addresses: %w", err)
	}
	c, err := d.check()
	if err != nil {
		return fmt.Errorf("publication of egress addresses: %w", err)
	}
	var b bytes.Buffer
	if err = f.write(c, &b); err == nil {
		_, err = b.WriteTo(w)
	}
	if err != nil {
		return fmt.Errorf("publication of egress addresses of %s as %s: %w", d.Region, name, err)
	}
	return nil
}

// File is a file of a publication.
type File struct {
	Name    string
	Content []byte
	About   string // what it is for, in a sentence or two
	Command string // how to load it, where one command does
}

// Files returns every format as a file, in the order of [Formats], and last the
// file [ChecksumsName]: a line for each of the others, sorted by name, as
// `sha256sum -c` reads them. Errors are about a field of the document.
func (d *Document) Files() ([]File, error) {
	var files []File
	for _, f := range formats() {
		var b bytes.Buffer
		if err := d.Write(&b, f.Name); err != nil {
			return nil, err
		}
		files = append(files, File{f.File, b.Bytes(), f.About, f.Command})
	}
	return append(files, File{Name: ChecksumsName, Content: checksums(files), About: checksumsAbout}), nil
}

// checksums is the text form of GNU sha256sum: hash, two spaces, name. There are
// no comments in that form, and each line must be well formed for
// `sha256sum -c --strict`.
func checksums(files []File) []byte {
	sorted := slices.SortedFunc(slices.Values(files), func(a, b File) int { return strings.Compare(a.Name, b.Name) })
	var b bytes.Buffer
	for _, f := range sorted {
		fmt.Fprintf(&b, "%x  %s\n", sha256.Sum256(f.Content), f.Name)
	}
	return b.Bytes()
}
