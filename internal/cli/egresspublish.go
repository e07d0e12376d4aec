package cli

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"jiragate/gateway/admin"
	"jiragate/gateway/egress/publication"
)

func newEgressPublish(a *app) *cobra.Command {
	formats := strings.Join(publication.Formats(), ", ")
	var format, dir string
	cmd := &cobra.Command{
		Use:   "publish",
		Short: "Write what customers' security teams read: addresses, endpoints, firewall rules",
		Long: `Write the region's published egress addresses, with their history and what is announced, and the
documented endpoints: as a page, as data, and as rules for firewalls and allowlists. With --dir, every
format is written into a directory, with SHA256SUMS and SHA256SUMS.note, which is signed with the audit key
(jiragate audit key): to be put on a web server as it is. Otherwise one format is written to the output.

Formats: ` + formats + `.`,
		Example: `  jiragate egress publish --dir /var/www/jira-egress
  jiragate egress publish --format nftables`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			switch {
			case dir != "" && cmd.Flags().Changed("format"):
				return usage("--dir writes every format; leave --format out")
			case publication.FileName(format) == "":
				return usage("--format: %q is unknown; use one of %s", format, formats)
			}
			files, err := a.publication(cmd.Context())
			switch {
			case err != nil:
				return err
			case dir != "":
				return a.writePublication(dir, files)
			}
			i := slices.IndexFunc(files, func(f admin.PublishedFile) bool { return f.Name == publication.FileName(format) })
			if i < 0 {
				return fmt.Errorf("the gateway that runs publishes no %s; is it of another version?", format)
			}
			_, err = a.out.Write(files[i].Content)
			return err
		},
	}
	cmd.Flags().StringVar(&format, "format", "txt", "one format, written to the output")
	cmd.Flags().StringVar(&dir, "dir", "", "a directory that gets a file of each format")
	return cmd
}

func (a *app) publication(ctx context.Context) ([]admin.PublishedFile, error) {
	var files []admin.PublishedFile
	err := a.withSession(ctx, existingStore, func(s *session) error {
		return s.call(ctx, http.MethodGet, "/v1/egress/publication", nil, &files)
	})
	return files, err
}

// writePublication writes the files one by one, each of them whole or not at all.
// The signature comes last: until then it is that of the checksums before.
func (a *app) writePublication(dir string, files []admin.PublishedFile) error {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return fmt.Errorf("writing the publication: %w", err)
	}
	for _, f := range files {
		if f.Name != filepath.Base(f.Name) {
			return fmt.Errorf("writing the publication: %q is not the name of a file", f.Name)
		}
		path := filepath.Join(dir, f.Name)
		err := newFile(path, 0o644, func(w io.Writer) error { // it is for everybody
			_, err := w.Write(f.Content)
			return err
		})
		if err != nil {
			return fmt.Errorf("writing the publication: %w", err)
		}
	}
	return a.printf("%d files are in %s\n", len(files), dir)
}
