# What the machine is told: settings of the gateway, and of the scripts that prepare the
# machine for it. Instance metadata and the state have all of this in clear.

locals {
  systemd     = "${path.module}/../../systemd"
  data_dir    = "/var/lib/jiragate"
  credentials = "/run/credentials/jiragate.service"

  # As in deploy/egress/*-local.env, and what comes of AWS.
  environment = merge(
    {
      JIRAGATE_REGION        = var.jira_region
      JIRAGATE_EGRESS        = local.jiragate_egress
      JIRAGATE_EGRESS_VERIFY = "15m"

      JIRAGATE_DATA_DIR       = local.data_dir
      JIRAGATE_KEY_URI        = "aws-kms://${aws_kms_key.keyset.arn}"
      JIRAGATE_PROXY_LISTEN   = "0.0.0.0:${var.proxy_port}"
      JIRAGATE_PROXY_TLS_CERT = "/etc/jiragate/proxy.pem"
      JIRAGATE_PROXY_TLS_KEY  = "${local.credentials}/proxy-key"
      JIRAGATE_ADMIN_LISTEN   = "127.0.0.1:8081"
      JIRAGATE_LOG_FORMAT     = "json"

      AWS_EC2_METADATA_V1_DISABLED = "true"
    },
    var.secrets.proxy_client_ca == null ? {} : {
      JIRAGATE_PROXY_CLIENT_CA = "/etc/jiragate/clients-ca.pem"
    },
    var.oauth_client_id == null ? {} : {
      JIRAGATE_OAUTH_CLIENT_ID = var.oauth_client_id
    },
    var.secrets.oauth_client_secret == null ? {} : {
      JIRAGATE_OAUTH_CLIENT_SECRET_FILE = "${local.credentials}/oauth-client-secret"
    },
    var.oauth_redirect_url == null ? {} : {
      JIRAGATE_OAUTH_REDIRECT_URL = var.oauth_redirect_url
    },
    var.secrets.webhook_secret == null ? {} : {
      JIRAGATE_WEBHOOK_SECRET_FILE = "${local.credentials}/webhook-secret"
    },
    var.telemetry == null ? {} : {
      OTEL_EXPORTER_OTLP_ENDPOINT = var.telemetry.endpoint
    },
    var.checkpoints == null ? {} : {
      JIRAGATE_AUDIT_CHECKPOINT_TO = "${local.data_dir}/checkpoints"
    },
    var.environment,
  )
  environment_file = join("", [for k, v in local.environment : "${k}=${v}\n"])

  # Where each goes: secrets into memory, and what is no secret to where all may read it.
  credential_arns = {
    proxy-key           = var.secrets.proxy_tls_key
    oauth-client-secret = var.secrets.oauth_client_secret
    webhook-secret      = var.secrets.webhook_secret
  }
  credentials_given = [for name, arn in local.credential_arns : name if arn != null]
  secret_files = merge(
    {
      "/etc/jiragate/proxy.pem"      = var.secrets.proxy_tls_cert
      "/etc/jiragate/clients-ca.pem" = var.secrets.proxy_client_ca
    },
    { for name, arn in local.credential_arns : "/run/jiragate-secrets/${name}" => arn },
  )

  # For the scripts, which read it as shell: variables.tf sees to it that no value has
  # anything that a shell would act on.
  machine_file = templatefile("${path.module}/files/machine.conf.tftpl", {
    volume_id          = replace(aws_ebs_volume.data.id, "-", "")
    data_dir           = local.data_dir
    local_ips          = local.local_ips
    prefix_length      = split("/", local.subnets[var.gateway_zone])[1]
    release_url        = var.release_url
    release_sha256     = var.release_sha256
    secret_files       = { for file, arn in local.secret_files : file => arn if arn != null }
    checkpoints_bucket = var.checkpoints == null ? "" : var.checkpoints.bucket
    checkpoints_region = var.checkpoints == null ? "" : var.checkpoints.region
    checkpoints_prefix = var.jira_region
  })

  scripts = {
    for name in ["setup", "addresses", "secrets", "checkpoints"] :
    "/usr/local/sbin/jiragate-${name}" => file("${path.module}/files/${name}.sh")
  }

  files = {
    "/etc/jiragate/environment"  = local.environment_file
    "/etc/jiragate/machine.conf" = local.machine_file

    "/etc/sysusers.d/jiragate.conf"             = file("${local.systemd}/sysusers.conf")
    "/etc/systemd/system/jiragate.service"      = file("${local.systemd}/jiragate.service")
    "/etc/systemd/system/jiragate-proxy.socket" = file("${local.systemd}/jiragate-proxy.socket")
    "/etc/systemd/system/jiragate-admin.socket" = file("${local.systemd}/jiragate-admin.socket")

    "/etc/systemd/system/jiragate.service.d/aws.conf" = templatefile("${path.module}/files/jiragate.service.conf.tftpl", {
      credentials = local.credentials_given
    })
    "/etc/systemd/system/jiragate-proxy.socket.d/aws.conf" = templatefile("${path.module}/files/jiragate-proxy.socket.conf.tftpl", {
      port = var.proxy_port
    })
    "/etc/systemd/system/jiragate-addresses.service"   = file("${path.module}/files/jiragate-addresses.service")
    "/etc/systemd/system/jiragate-secrets.service"     = file("${path.module}/files/jiragate-secrets.service")
    "/etc/systemd/system/jiragate-checkpoints.service" = file("${path.module}/files/jiragate-checkpoints.service")
    "/etc/systemd/system/jiragate-checkpoints.timer"   = file("${path.module}/files/jiragate-checkpoints.timer")
  }

  user_data = "#cloud-config\n${yamlencode({
    write_files = concat(
      [for path, content in local.files : { path = path, permissions = "0644", content = content }],
      [for path, content in local.scripts : { path = path, permissions = "0755", content = content }],
    )
    runcmd = [["/usr/local/sbin/jiragate-setup"]]
  })}"
}
