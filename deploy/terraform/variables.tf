variable "name" {
  description = "Begins the name of everything that is made."
  type        = string
  default     = "jiragate"

  validation {
    condition     = can(regex("^[a-z][a-z0-9-]{1,24}$", var.name))
    error_message = "name must be lower-case letters, digits and hyphens, begin with a letter, and have 25 of them at most."
  }
}

variable "us" {
  description = <<-EOT
    The US environment.

    region                    AWS region.
    zones                     Its two availability zones; one has the gateway, the other can take it over.
    gateway_zone              0 or 1: which of the zones has the gateway.
    vpc_cidr                  IPv4 network of the VPC, a /16 that nothing else has which is peered with it.
    client_cidrs              IPv4 networks of the services that may use the proxy.
    client_security_group_ids Security groups of such services, in this VPC or in a peered one.
    eip_allocation_ids        Two elastic IPs that exist already (eipalloc-...); empty allocates two.
    public_ipv4_pool          Pool of your own addresses (BYOIP) to allocate from; null is Amazon's.
    data_snapshot_id          Snapshot to make the data volume of; for a restore.
    ami                       Machine image; null is the newest Amazon Linux 2023 at the time when the instance is made.
    oauth_redirect_url        Redirect URL that is registered with Atlassian.
    telemetry                 An OTLP collector: its URL, and network and port for the security group.
    secrets                   ARNs of secrets in Secrets Manager; never a secret itself.
  EOT

  type = object({
    region                    = optional(string, "us-east-1")
    zones                     = optional(list(string), ["us-east-1a", "us-east-1b"])
    gateway_zone              = optional(number, 0)
    vpc_cidr                  = optional(string, "10.0.0.0/16")
    client_cidrs              = optional(set(string), [])
    client_security_group_ids = optional(set(string), [])
    eip_allocation_ids        = optional(list(string), [])
    public_ipv4_pool          = optional(string)
    data_snapshot_id          = optional(string)
    ami                       = optional(string)
    oauth_redirect_url        = optional(string)

    telemetry = optional(object({
      endpoint = string
      cidr     = string
      port     = number
    }))

    secrets = object({
      proxy_tls_cert      = string
      proxy_tls_key       = string
      proxy_client_ca     = optional(string)
      oauth_client_secret = optional(string)
      webhook_secret      = optional(string)
    })
  })

  validation {
    condition     = alltrue([for z in var.us.zones : startswith(z, var.us.region)])
    error_message = "zones must be zones of region: set both."
  }
}

variable "eu" {
  description = <<-EOT
    The EU environment.

    region                    AWS region.
    zones                     Its two availability zones; one has the gateway, the other can take it over.
    gateway_zone              0 or 1: which of the zones has the gateway.
    vpc_cidr                  IPv4 network of the VPC, a /16 that nothing else has which is peered with it.
    client_cidrs              IPv4 networks of the services that may use the proxy.
    client_security_group_ids Security groups of such services, in this VPC or in a peered one.
    eip_allocation_ids        Two elastic IPs that exist already (eipalloc-...); empty allocates two.
    public_ipv4_pool          Pool of your own addresses (BYOIP) to allocate from; null is Amazon's.
    data_snapshot_id          Snapshot to make the data volume of; for a restore.
    ami                       Machine image; null is the newest Amazon Linux 2023 at the time when the instance is made.
    oauth_redirect_url        Redirect URL that is registered with Atlassian.
    telemetry                 An OTLP collector: its URL, and network and port for the security group.
    secrets                   ARNs of secrets in Secrets Manager; never a secret itself.
  EOT

  type = object({
    region                    = optional(string, "eu-west-1")
    zones                     = optional(list(string), ["eu-west-1a", "eu-west-1b"])
    gateway_zone              = optional(number, 0)
    vpc_cidr                  = optional(string, "10.1.0.0/16")
    client_cidrs              = optional(set(string), [])
    client_security_group_ids = optional(set(string), [])
    eip_allocation_ids        = optional(list(string), [])
    public_ipv4_pool          = optional(string)
    data_snapshot_id          = optional(string)
    ami                       = optional(string)
    oauth_redirect_url        = optional(string)

    telemetry = optional(object({
      endpoint = string
      cidr     = string
      port     = number
    }))

    secrets = object({
      proxy_tls_cert      = string
      proxy_tls_key       = string
      proxy_client_ca     = optional(string)
      oauth_client_secret = optional(string)
      webhook_secret      = optional(string)
    })
  })

  validation {
    condition     = alltrue([for z in var.eu.zones : startswith(z, var.eu.region)])
    error_message = "zones must be zones of region: set both."
  }
}

variable "architecture" {
  description = "Of the machines, and of the release: arm64 or amd64."
  type        = string
  default     = "arm64"
}

variable "instance_type" {
  description = "Machine of each region, of that architecture; docs/scale.md says how large."
  type        = string
  default     = "m7g.large"
}

variable "data_volume_gib" {
  description = "Size of each data volume in GiB, most of it for call records."
  type        = number
  default     = 50
}

variable "release_url" {
  description = "Where the machines get the program: https://... or s3://BUCKET/KEY; the program itself, or a .tar.gz that has it."
  type        = string
}

variable "release_sha256" {
  description = "SHA-256 of that file, as in the release's SHA256SUMS: 64 hexadecimal digits."
  type        = string
}

variable "proxy_port" {
  description = "TCP port of the proxy, an HTTPS one."
  type        = number
  default     = 8443
}

variable "jira_ports" {
  description = "TCP ports that the gateways may call; add those of a Data Center that listens elsewhere."
  type        = set(number)
  default     = [443]
}

variable "oauth_client_id" {
  description = "Client id of the app registered with Atlassian; null if there are no Cloud connections."
  type        = string
  default     = null
}

variable "environment" {
  description = "Further settings of both gateways, JIRAGATE_... or OTEL_...; no secrets: user data and state have them in clear."
  type        = map(string)
  default     = {}
}

variable "kms_endpoint" {
  description = "Whether each VPC has an interface endpoint for KMS, so that the question for the keyset does not leave by the internet."
  type        = bool
  default     = true
}

variable "checkpoints" {
  description = <<-EOT
    A bucket with Object Lock for the checkpoints of both audit logs; null for none.

    bucket         Name of the bucket, which is made.
    region         Its AWS region, best none of the gateways'.
    role_arn       Role to assume for making it, best in an account that the gateways' operators cannot enter.
    retention_days How long nobody can remove a checkpoint, not even the account's root user.
  EOT

  type = object({
    bucket         = string
    region         = optional(string, "eu-central-1")
    role_arn       = optional(string)
    retention_days = optional(number, 400)
  })
  default = null
}

variable "tags" {
  description = "Tags of everything that is made."
  type        = map(string)
  default     = {}
}
