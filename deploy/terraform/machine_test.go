package terraform_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"maps"
	"math/big"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/goccy/go-yaml"
	"github.com/zclconf/go-cty/cty"
)

// userData is what cloud-init reads, of what is used of
// https://docs.cloud-init.io/en/latest/reference/modules.html
type userData struct {
	WriteFiles []struct {
		Path        string `yaml:"path"`
		Permissions string `yaml:"permissions"`
		Content     string `yaml:"content"`
	} `yaml:"write_files"`
	RunCmd [][]string `yaml:"runcmd"`
}

// machine renders a region's user data, and returns the files in it.
func machine(t *testing.T, which string, inputs map[string]cty.Value) map[string]string {
	t.Helper()
	_, ctx := callRegion(t, which, inputs)
	rendered := text(ctx.Variables["local"].GetAttr("user_data"))
	if !strings.HasPrefix(rendered, "#cloud-config\n") {
		t.Fatalf("cloud-init does not know this: %.40q", rendered)
	}
	var u userData
	if err := yaml.UnmarshalWithOptions([]byte(rendered), &u, yaml.Strict()); err != nil {
		t.Fatal(err)
	}
	compressed, err := base64gzip(rendered)
	if n := len(compressed) / 4 * 3; err != nil || n > 16<<10 { // EC2's limit, before base64
		t.Errorf("user data has %d bytes, %v", n, err)
	}
	files := map[string]string{}
	for _, f := range u.WriteFiles {
		want := "0644"
		if strings.HasPrefix(f.Path, "/usr/local/sbin/") {
			want = "0755"
		}
		if f.Permissions != want || !filepath.IsAbs(f.Path) || files[f.Path] != "" || f.Content == "" {
			t.Errorf("%s: permissions %s, %d bytes", f.Path, f.Permissions, len(f.Content))
		}
		files[f.Path] = f.Content
	}
	if len(u.RunCmd) != 1 || len(u.RunCmd[0]) != 1 || files[u.RunCmd[0][0]] == "" {
		t.Errorf("commands %q", u.RunCmd)
	}
	return files
}

func settings(t *testing.T, files map[string]string) map[string]string {
	t.Helper()
	list := map[string]string{}
	for line := range strings.Lines(files["/etc/jiragate/environment"]) {
		name, v, ok := strings.Cut(strings.TrimSuffix(line, "\n"), "=")
		if !ok || list[name] != "" || v == "" {
			t.Errorf("environment: %q", line)
		}
		list[name] = v
	}
	return list
}

// The settings are those of deploy/egress, with the addresses of AWS, and what AWS has
// besides.
func TestEnvironment(t *testing.T) {
	local := regexp.MustCompile(`=[0-9.]+`) // another network's in the examples
	for _, which := range []string{"us", "eu"} {
		got := settings(t, machine(t, which, least()))
		example, err := os.ReadFile("../egress/" + which + "-local.env")
		if err != nil {
			t.Fatal(err)
		}
		n := 0
		for line := range strings.Lines(string(example)) {
			name, v, ok := strings.Cut(strings.TrimSpace(line), "=")
			if !ok || strings.HasPrefix(line, "#") {
				continue
			}
			n++
			if local.ReplaceAllString(got[name], "=LOCAL") != local.ReplaceAllString(v, "=LOCAL") {
				t.Errorf("%s: %s is %q, in deploy/egress %q", which, name, got[name], v)
			}
		}
		if n != 3 {
			t.Errorf("%s: deploy/egress has %d settings", which, n)
		}
	}
	got := slices.Sorted(maps.Keys(settings(t, machine(t, "us", everything()))))
	if want := []string{
		"AWS_EC2_METADATA_V1_DISABLED", "JIRAGATE_ADMIN_LISTEN", "JIRAGATE_AUDIT_CHECKPOINT_TO", "JIRAGATE_AUDIT_RETENTION",
		"JIRAGATE_DATA_DIR", "JIRAGATE_EGRESS", "JIRAGATE_EGRESS_VERIFY", "JIRAGATE_KEY_URI", "JIRAGATE_LOG_FORMAT",
		"JIRAGATE_OAUTH_CLIENT_ID", "JIRAGATE_OAUTH_CLIENT_SECRET_FILE", "JIRAGATE_OAUTH_REDIRECT_URL", "JIRAGATE_PROXY_CLIENT_CA",
		"JIRAGATE_PROXY_LISTEN", "JIRAGATE_PROXY_TLS_CERT", "JIRAGATE_PROXY_TLS_KEY", "JIRAGATE_REGION",
		"JIRAGATE_WEBHOOK_SECRET_FILE", "JIRAGATE_WEBHOOK_URL", "OTEL_EXPORTER_OTLP_ENDPOINT",
	}; !slices.Equal(got, want) {
		t.Errorf("with everything: %q", got)
	}
}

// The program itself takes the settings, with each file where it would be.
func TestProgramTakesTheEnvironment(t *testing.T) {
	program := filepath.Join(t.TempDir(), "jiragate")
	build := exec.Command("go", "build", "-C", "../..", "-trimpath", "-o", program, ".")
	build.Env = append(os.Environ(), "GOWORK=off")
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	for name, inputs := range map[string]map[string]cty.Value{"least": least(), "everything": everything()} {
		t.Run(name, func(t *testing.T) {
			at := t.TempDir()
			keyPair(t, at)
			moved := strings.NewReplacer("/etc/jiragate/", at+"/", "/run/credentials/jiragate.service/", at+"/", "/var/lib/jiragate", at)
			var environ []string
			for setting, v := range settings(t, machine(t, "eu", inputs)) {
				environ = append(environ, setting+"="+moved.Replace(v))
			}
			config := exec.Command(program, "config", "--output", "json")
			config.Env = environ
			out, err := config.CombinedOutput()
			if err != nil {
				t.Fatalf("%v\n%s", err, out)
			}
			if !strings.Contains(string(out), "18.200.77.86=10.1.") {
				t.Errorf("the addresses are not in use:\n%s", out)
			}
		})
	}
}

// keyPair puts what Secrets Manager would have into a directory.
func keyPair(t *testing.T, dir string) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	now := time.Now()
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "proxy.internal"}, DNSNames: []string{"proxy.internal"},
		NotBefore: now.Add(-time.Hour), NotAfter: now.Add(90 * 24 * time.Hour), IsCA: true, BasicConstraintsValid: true,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	pkcs8, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	certificate := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})
	for name, content := range map[string][]byte{
		"proxy.pem":           certificate,
		"clients-ca.pem":      certificate,
		"proxy-key":           pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: pkcs8}),
		"oauth-client-secret": []byte("an-oauth-client-secret\n"),
		"webhook-secret":      []byte("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw4IcT1mXmQ7k=\n"),
	} {
		if err := os.WriteFile(filepath.Join(dir, name), content, 0o600); err != nil {
			t.Fatal(err)
		}
	}
}

// The units of deploy/systemd are used as they are: what the machine is given has to fit
// them.
func TestUnitsFit(t *testing.T) {
	const units = "/etc/systemd/system/"
	files := machine(t, "us", everything())
	unit := files[units+"jiragate.service"]
	without := machine(t, "us", least())[units+"jiragate.service.d/aws.conf"]
	if strings.Count(without, "LoadCredential=") != 1 || !strings.Contains(without, "\nLoadCredential=proxy-key:") {
		t.Errorf("with the least:\n%s", without)
	}
	for _, line := range []string{
		"EnvironmentFile=/etc/jiragate/environment",
		"ExecStart=/usr/local/bin/jiragate serve",
		"StateDirectory=jiragate",
		"User=jiragate",
	} {
		if !strings.Contains(unit, "\n"+line+"\n") {
			t.Errorf("jiragate.service has no %s", line)
		}
	}
	for name, v := range settings(t, files) {
		credential, ok := strings.CutPrefix(v, "/run/credentials/jiragate.service/")
		if !ok {
			continue
		}
		file := "/run/jiragate-secrets/" + credential
		if !strings.Contains(files[units+"jiragate.service.d/aws.conf"], "\nLoadCredential="+credential+":"+file+"\n") || !strings.Contains(files["/etc/jiragate/machine.conf"], file+"=") {
			t.Errorf("%s: nobody brings %s", name, file)
		}
	}
	for path, content := range files {
		if !strings.HasPrefix(path, units) {
			continue
		}
		for line := range strings.Lines(content) {
			name, v, _ := strings.Cut(strings.TrimSpace(line), "=")
			for word := range strings.FieldsSeq(v) {
				switch {
				case name == "Requires" || name == "After":
					if strings.HasPrefix(word, "jiragate") && files[units+word] == "" {
						t.Errorf("%s: %s is not there", path, word)
					}
				case name == "ExecStart" && strings.HasPrefix(word, "/") && word != "/usr/local/bin/jiragate":
					if files[word] == "" {
						t.Errorf("%s: %s is not there", path, word)
					}
				}
			}
		}
	}
	if admin := files[units+"jiragate-admin.socket"]; strings.Count(admin, "ListenStream=") != 1 || !strings.Contains(admin, "\nListenStream=127.0.0.1:8081\n") {
		t.Errorf("the admin listener is not on loopback alone:\n%s", admin)
	}
	if proxy := files[units+"jiragate-proxy.socket.d/aws.conf"]; !strings.HasSuffix(proxy, "[Socket]\nListenStream=\nListenStream=0.0.0.0:8443\n") {
		t.Errorf("the proxy listener:\n%s", proxy)
	}
	if !strings.Contains("\n"+files["/etc/sysusers.d/jiragate.conf"], "\nu jiragate ") {
		t.Error("no user")
	}
}

// What the scripts read, as a shell reads it.
func TestMachineFile(t *testing.T) {
	content := machine(t, "eu", everything())["/etc/jiragate/machine.conf"]
	for name, want := range map[string]string{
		"VOLUME":             "/dev/disk/by-id/nvme-Amazon_Elastic_Block_Store_vol049df61146c4d7901",
		"DATA_DIR":           "/var/lib/jiragate",
		"LOCAL_IPS":          "10.1.2.10 10.1.2.11",
		"PREFIX_LENGTH":      "24",
		"RELEASE_URL":        "s3://example-releases/jiragate_1.0.0_linux_amd64.tar.gz",
		"RELEASE_SHA256":     "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08",
		"CHECKPOINTS_BUCKET": "example-checkpoints",
		"CHECKPOINTS_REGION": "eu-central-1",
		"CHECKPOINTS_PREFIX": "eu",
		"SECRET_FILES": "/etc/jiragate/clients-ca.pem=" + arn + "clients-ca /etc/jiragate/proxy.pem=" + arn + "proxy-cert " +
			"/run/jiragate-secrets/oauth-client-secret=" + arn + "oauth /run/jiragate-secrets/proxy-key=" + arn + "proxy-key " +
			"/run/jiragate-secrets/webhook-secret=" + arn + "webhook",
	} {
		out, err := exec.Command("sh", "-euc", content+"\nprintf %s \"$"+name+`"`).CombinedOutput()
		if err != nil || string(out) != want {
			t.Errorf("%s is %q, %v", name, out, err)
		}
	}
}
