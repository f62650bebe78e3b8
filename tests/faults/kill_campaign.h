// kill -9 at random instants, until a number of kills is reached.
#ifndef VERNIER_TESTS_FAULTS_KILL_CAMPAIGN_H_
#define VERNIER_TESTS_FAULTS_KILL_CAMPAIGN_H_

#include <cstdint>
#include <map>
#include <random>
#include <string>
#include <vector>

#include "tests/faults/job.h"

namespace vernier::testing {

// Of the environment variable VERNIER_FAULT_SEED, or a new one every time; printed, so that a
// failure can be repeated as far as the machine's timing allows.
uint64_t FaultSeed();

// What a campaign did so far.
struct KillTally {
  int kills = 0;
  int jobs = 0;
  std::map<std::string, int> kills_by_phase;  // "start-up" before the first report of a phase
  // For every job that was killed: (time of all its attempts - time undisturbed) / kills, in
  // seconds; and the same without the time before the first report, which every attempt spends.
  std::vector<double> lost_seconds, lost_work_seconds;

  std::string Text() const;
};

class KillCampaign {
 public:
  KillCampaign(JobBench& bench, uint64_t seed) : bench_(bench), random_(seed) {}

  // Starts such jobs, kills each at random instants of its way until it ends, and expects the
  // result of an undisturbed one; until there were `kills` more. After every kill, what the job has
  // left must be consistent.
  void Run(JobKind kind, const std::vector<std::string>& arguments, int kills);

  const KillTally& tally() const { return tally_; }

 private:
  // What an undisturbed job does, and how long.
  struct Calm {
    JobResult result;
    double start_up = 0, work = 0;  // seconds
  };

  // A kill at a random instant, or none when there were enough.
  CommandOptions NextKill(const Calm& calm);
  // Runs `job` to its end, and kills it on the way.
  void Finish(const Job& job, const Calm& calm);
  void NoteKill(const Job& job, const Calm& calm, const CommandResult& killed);

  JobBench& bench_;
  std::mt19937_64 random_;
  int enough_ = 0;
  KillTally tally_;
};

}  // namespace vernier::testing

#endif  // VERNIER_TESTS_FAULTS_KILL_CAMPAIGN_H_
