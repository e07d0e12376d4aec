variable "bucket" {
  description = "Name of the bucket, which is made."
  type        = string

  validation {
    condition     = can(regex("^[a-z0-9][a-z0-9-]{1,61}[a-z0-9]$", var.bucket))
    error_message = "bucket must be 3 to 63 lower-case letters, digits and hyphens."
  }
}

variable "retention_days" {
  description = "How many days nobody can remove a checkpoint, not even the account's root user."
  type        = number

  validation {
    condition     = var.retention_days >= 1 && var.retention_days <= 36500 && floor(var.retention_days) == var.retention_days
    error_message = "retention_days must be a whole number from 1 to 36500."
  }
}

variable "writers" {
  description = "Roles that may add checkpoints, by the prefix that each may write below."
  type        = map(string)
}
