package kubernetes

import (
	"maps"
	"path"
	"slices"
	"strings"
	"testing"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/util/intstr"
	"k8s.io/pod-security-admission/api"
	"k8s.io/pod-security-admission/policy"
)

// containers are all of a pod, those first that start first.
func containers(pod *corev1.PodTemplateSpec) []corev1.Container {
	return slices.Concat(pod.Spec.InitContainers, pod.Spec.Containers)
}

// selects reports whether a selector takes the pods of a set.
func selects(t *testing.T, s *metav1.LabelSelector, set *appsv1.StatefulSet) bool {
	t.Helper()
	return fits(t, s, labels.Set(set.Spec.Template.Labels))
}

// Pod Security takes each pod at the level and version that the namespace asks for.
func TestPodSecurity(t *testing.T) {
	evaluator, err := policy.NewEvaluator(policy.DefaultChecks(), nil)
	if err != nil {
		t.Fatal(err)
	}
	every(t, func(t *testing.T, region string, o *objects) {
		if len(o.namespaces) != 1 || o.namespaces[0].Name != "jiragate-"+region {
			t.Fatalf("namespaces %v", o.namespaces)
		}
		asked, problems := api.PolicyToEvaluate(o.namespaces[0].Labels, api.Policy{})
		if len(problems) > 0 {
			t.Fatal(problems)
		}
		for _, lv := range []api.LevelVersion{asked.Enforce, asked.Audit, asked.Warn} {
			if lv.Level != api.LevelRestricted || lv.Version.Latest() {
				t.Errorf("the namespace asks for %s", lv)
			}
			for _, set := range o.sets {
				pod := set.Spec.Template
				if r := policy.AggregateCheckResults(evaluator.EvaluatePod(lv, &pod.ObjectMeta, &pod.Spec)); !r.Allowed {
					t.Errorf("%s: %s", set.Name, r.ForbiddenDetail())
				}
			}
		}
		if len(o.sets) != 2 {
			t.Errorf("%d stateful sets", len(o.sets))
		}
	})
}

// What Pod Security doesn't ask for: nothing to write on but volumes, one user, no
// token of the cluster, no variables of neighbours, limits.
func TestPodsAreConfined(t *testing.T) {
	every(t, func(t *testing.T, region string, o *objects) {
		for _, set := range o.sets {
			pod := set.Spec.Template.Spec
			account := named(t, o.accounts, pod.ServiceAccountName)
			for _, mount := range []*bool{pod.AutomountServiceAccountToken, account.AutomountServiceAccountToken} {
				if mount == nil || *mount {
					t.Errorf("%s gets a token of the cluster", set.Name)
				}
			}
			if pod.EnableServiceLinks == nil || *pod.EnableServiceLinks {
				t.Errorf("%s gets variables of services", set.Name)
			}
			s := pod.SecurityContext
			if *s.RunAsUser != 65532 || *s.RunAsGroup != 65532 || *s.FSGroup != 65532 {
				t.Errorf("%s runs as %d:%d, volumes are of %d", set.Name, *s.RunAsUser, *s.RunAsGroup, *s.FSGroup)
			}
			// The kubelet would let the group into 0700 and 0600 at each start.
			if s.FSGroupChangePolicy == nil || *s.FSGroupChangePolicy != corev1.FSGroupChangeOnRootMismatch {
				t.Errorf("%s: modes in its volumes are changed at each start", set.Name)
			}
			for _, c := range containers(&set.Spec.Template) {
				if !*c.SecurityContext.ReadOnlyRootFilesystem {
					t.Errorf("%s/%s: writes on its image", set.Name, c.Name)
				}
				for _, name := range []corev1.ResourceName{corev1.ResourceCPU, corev1.ResourceMemory} {
					limit, request := c.Resources.Limits[name], c.Resources.Requests[name]
					if request.Sign() <= 0 || limit.Cmp(request) < 0 {
						t.Errorf("%s/%s: %s from %s to %s", set.Name, c.Name, name, &request, &limit)
					}
				}
			}
		}
		gateway := named(t, o.sets, "jiragate").Spec.Template.Spec
		want := corev1.SeccompProfile{Type: corev1.SeccompProfileTypeRuntimeDefault}
		if strings.Contains(t.Name(), "seccomp") {
			profile := "jiragate.json"
			want = corev1.SeccompProfile{Type: corev1.SeccompProfileTypeLocalhost, LocalhostProfile: &profile}
		}
		if got := gateway.SecurityContext.SeccompProfile; got.String() != want.String() {
			t.Errorf("seccomp: %s", got)
		}
		// The gateway takes nine tenths of the container's limit. Another number must not stand against it.
		memory := gateway.Containers[0].Resources.Limits[corev1.ResourceMemory]
		env := environment(t, o, &gateway.Containers[0], "jiragate-0")
		if memory.Cmp(resource.MustParse("512Mi")) < 0 || env["JIRAGATE_MEMORY_LIMIT"]+env["GOMEMLIMIT"] != "" {
			t.Errorf("memory: %s, limits %q and %q", &memory, env["JIRAGATE_MEMORY_LIMIT"], env["GOMEMLIMIT"])
		}
	})
}

// Selectors, ports, volumes and names lead to what there is.
func TestReferences(t *testing.T) {
	every(t, func(t *testing.T, region string, o *objects) {
		for _, set := range o.sets {
			if set.Namespace != "jiragate-"+region {
				t.Errorf("%s is in %s", set.Name, set.Namespace)
			}
			if !selects(t, set.Spec.Selector, set) {
				t.Errorf("%s does not select its own pods", set.Name)
			}
			if governing := named(t, o.services, set.Spec.ServiceName); governing.Spec.ClusterIP != corev1.ClusterIPNone {
				t.Errorf("%s: pods have no names by %s", set.Name, governing.Name)
			}
			for _, spread := range set.Spec.Template.Spec.TopologySpreadConstraints {
				if !selects(t, spread.LabelSelector, set) {
					t.Errorf("%s is spread by others' pods", set.Name)
				}
			}
			terms := set.Spec.Template.Spec.Affinity.PodAntiAffinity.RequiredDuringSchedulingIgnoredDuringExecution
			if len(terms) != 1 || !selects(t, terms[0].LabelSelector, set) || terms[0].TopologyKey != corev1.LabelHostname {
				t.Errorf("%s: two of its pods may be on one node", set.Name)
			}
			budgets := 0
			for _, b := range o.budgets {
				if selects(t, b.Spec.Selector, set) {
					budgets++
					if *b.Spec.MaxUnavailable != intstr.FromInt32(1) {
						t.Errorf("%s: %s may be away", set.Name, b.Spec.MaxUnavailable)
					}
				}
			}
			if budgets != 1 {
				t.Errorf("%s has %d disruption budgets", set.Name, budgets)
			}
			volumesLead(t, o, set)
			probesLead(t, set)
		}
		for _, s := range o.services {
			serviceLeads(t, o, s)
		}
		// The proxy's service has nothing of the admin listener.
		if proxy := named(t, o.services, "jiragate"); len(proxy.Spec.Ports) != 1 || proxy.Spec.Ports[0].Name != "proxy" {
			t.Errorf("the service jiragate has the ports %v", proxy.Spec.Ports)
		}
	})
}

func serviceLeads(t *testing.T, o *objects, s *corev1.Service) {
	t.Helper()
	if s.Spec.Type != "" && s.Spec.Type != corev1.ServiceTypeClusterIP {
		t.Errorf("the service %s is exposed as %s", s.Name, s.Spec.Type)
	}
	selected := 0
	for _, set := range o.sets {
		if !selects(t, &metav1.LabelSelector{MatchLabels: s.Spec.Selector}, set) {
			continue
		}
		selected++
		for _, p := range s.Spec.Ports {
			if got := portOf(set, p.TargetPort); got != p.Port {
				t.Errorf("port %d of %s leads to %d", p.Port, s.Name, got)
			}
		}
	}
	if selected != 1 {
		t.Errorf("the service %s selects %d sets", s.Name, selected)
	}
}

// portOf is the number of a container's port, 0 if there is none.
func portOf(set *appsv1.StatefulSet, target intstr.IntOrString) int32 {
	for _, c := range set.Spec.Template.Spec.Containers {
		for _, p := range c.Ports {
			if target == intstr.FromString(p.Name) || target == intstr.FromInt32(p.ContainerPort) {
				return p.ContainerPort
			}
		}
	}
	return 0
}

func probesLead(t *testing.T, set *appsv1.StatefulSet) {
	t.Helper()
	for _, c := range set.Spec.Template.Spec.Containers {
		for what, probe := range map[string]*corev1.Probe{"startup": c.StartupProbe, "liveness": c.LivenessProbe, "readiness": c.ReadinessProbe} {
			if probe == nil || probe.HTTPGet == nil || portOf(set, probe.HTTPGet.Port) == 0 {
				t.Errorf("%s: the %s probe %v leads nowhere", set.Name, what, probe)
			}
		}
	}
}

// volumesLead sees that each mount has a volume, each volume what it is of, and that
// each is mounted.
func volumesLead(t *testing.T, o *objects, set *appsv1.StatefulSet) {
	t.Helper()
	mounted, there := map[string]bool{}, map[string]bool{}
	for _, c := range containers(&set.Spec.Template) {
		for _, m := range c.VolumeMounts {
			mounted[m.Name] = true
		}
		for _, from := range c.EnvFrom {
			if from.ConfigMapRef == nil {
				t.Errorf("%s: variables come from %v", set.Name, from)
				continue
			}
			named(t, o.settings, from.ConfigMapRef.Name)
		}
		for _, v := range c.Env {
			if v.ValueFrom != nil && v.ValueFrom.FieldRef == nil {
				t.Errorf("%s: the variable %s comes from %v; secrets come from files", set.Name, v.Name, v.ValueFrom)
			}
		}
	}
	for _, v := range set.Spec.Template.Spec.Volumes {
		there[v.Name] = true
		switch {
		case v.Secret != nil:
			named(t, o.secrets, v.Secret.SecretName)
			if m := v.Secret.DefaultMode; m == nil || *m != 0o440 {
				t.Errorf("%s: the secret %s is not for its group alone", set.Name, v.Name)
			}
		case v.EmptyDir == nil || v.EmptyDir.SizeLimit == nil:
			t.Errorf("%s: the volume %s is neither a secret nor bounded", set.Name, v.Name)
		}
	}
	for _, c := range set.Spec.VolumeClaimTemplates {
		there[c.Name] = true
	}
	if !maps.Equal(mounted, there) {
		t.Errorf("%s mounts %v, and has %v", set.Name, mounted, there)
	}
}

// The key of the root is seen where it is sealed, and nowhere else.
func TestOnlyTheInitContainerSeesTheRootsKey(t *testing.T) {
	every(t, func(t *testing.T, region string, o *objects) {
		seen := 0
		for _, set := range o.sets {
			for _, v := range set.Spec.Template.Spec.Volumes {
				if v.Secret == nil || v.Secret.SecretName != named(t, o.secrets, "jiragate-ca").Name {
					continue
				}
				for _, c := range containers(&set.Spec.Template) {
					for _, m := range c.VolumeMounts {
						if m.Name != v.Name {
							continue
						}
						if seen++; c.Name != "ca" {
							t.Errorf("%s/%s sees it", set.Name, c.Name)
						}
					}
				}
			}
		}
		if seen != 1 {
			t.Errorf("%d containers see it", seen)
		}
	})
}

// A gateway that is told to stop has the time that it may take.
func TestTimeToStop(t *testing.T) {
	every(t, func(t *testing.T, region string, o *objects) {
		pod := named(t, o.sets, "jiragate").Spec.Template.Spec
		env := environment(t, o, &pod.Containers[0], "jiragate-0")
		drain, err := time.ParseDuration(env["JIRAGATE_DRAIN_TIMEOUT"])
		if err != nil {
			t.Fatal(err)
		}
		before := time.Duration(pod.Containers[0].Lifecycle.PreStop.Sleep.Seconds) * time.Second
		grace := time.Duration(*pod.TerminationGracePeriodSeconds) * time.Second
		if grace < before+drain+10*time.Second {
			t.Errorf("%s for %s, %s and ten seconds", grace, before, drain)
		}
	})
}

// Images have a tag, and one place where another one is named.
func TestImages(t *testing.T) {
	every(t, func(t *testing.T, region string, o *objects) {
		for _, set := range o.sets {
			images := map[string]bool{}
			for _, c := range containers(&set.Spec.Template) {
				images[c.Image] = true
				if name := path.Base(c.Image); !strings.Contains(name, ":") || strings.HasSuffix(name, ":latest") {
					t.Errorf("%s/%s: %s has no tag", set.Name, c.Name, c.Image)
				}
			}
			if len(images) != 1 {
				t.Errorf("%s: %v", set.Name, images)
			}
		}
	})
}
